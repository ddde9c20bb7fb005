// What a reader gets of the page that is open, as plain data for Python's tests. Each page opened by tests has it.
window.measure = (() => {
  const isSeen = (element) => {
    const box = element.getBoundingClientRect();
    const seen = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    return seen && box.width > 0 && box.height > 0;
  };

  // Matplotlib draws a text as outlines and says in a comment before them which it is.
  const wordsOf = (element) => {
    const siblings = [...element.parentElement.childNodes];
    const comment = siblings.find((node) => node.nodeType === Node.COMMENT_NODE);
    const drawn = element.closest("svg") && comment ? comment.data : element.textContent;
    return element.getAttribute("aria-label") ?? drawn;
  };

  const named = (element) => {
    const words = wordsOf(element).trim().replace(/\s+/g, " ").slice(0, 40);
    return `${element.tagName.toLowerCase()}${element.id && "#" + element.id} ${JSON.stringify(words)}`;
  };

  const everyElement = () => [...document.body.querySelectorAll("*")];
  const inDrawing = (element) => element.parentElement.closest("svg") !== null;
  const scrolls = (overflow) => ["auto", "scroll"].includes(overflow);
  const scrollsSideways = (element) => scrolls(getComputedStyle(element).overflowX);
  const hasMoreThanItShows = (element) => {
    const { overflowX, overflowY } = getComputedStyle(element);
    const sideways = scrolls(overflowX) && element.scrollWidth > element.clientWidth + 1;
    return sideways || (scrolls(overflowY) && element.scrollHeight > element.clientHeight + 1);
  };

  const isInScroller = (element) => {
    for (let around = element.parentElement; around; around = around.parentElement) {
      if (scrollsSideways(around)) return true;
    }
    return false;
  };

  // Matplotlib writes a text as groups of glyphs, each group scaled from glyphs drawn at this size.
  const GLYPH_SIZE = 100;
  const textsOf = (drawing) => {
    const glyphs = [...drawing.querySelectorAll("[id*='text_'] use")].map((glyph) => glyph.parentElement);
    return [...new Set(glyphs), ...drawing.querySelectorAll("text")];
  };
  const sizeOf = (text) => {
    const { a, b } = text.getScreenCTM();
    const own = text.tagName === "text" ? parseFloat(getComputedStyle(text).fontSize) : GLYPH_SIZE;
    return own * Math.hypot(a, b);
  };

  // of two figures in one place a reader sees the one that is chosen
  const isChosen = (figure) => getComputedStyle(figure).display !== "none";

  const figures = () =>
    [...document.querySelectorAll("figure")].filter(isChosen).map((figure) => {
      const drawings = [...figure.querySelectorAll("svg, img")].filter((each) => !inDrawing(each) && isSeen(each));
      const name = named(figure.querySelector("[aria-label], figcaption") ?? figure);
      return { name, drawings: drawings.length, sizes: drawings.flatMap(textsOf).map(sizeOf) };
    });

  const beyondTheRightEdge = () =>
    everyElement()
      .filter((element) => !inDrawing(element) && !isInScroller(element) && isSeen(element))
      .filter((element) => element.getBoundingClientRect().right > window.innerWidth + 0.5)
      .map(named);

  const scrollersWithoutKeyboard = () =>
    everyElement()
      .filter((element) => isSeen(element) && hasMoreThanItShows(element))
      .filter((element) => element.getAttribute("tabindex") !== "0")
      .map(named);

  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", {
    willReadFrequently: true,
  });
  const painted = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };

  const pageGround = () => {
    const probe = document.body.appendChild(document.createElement("div"));
    probe.style.backgroundColor = "Canvas";
    const ground = painted(getComputedStyle(probe).backgroundColor);
    probe.remove();
    return ground;
  };

  // from the nearest to the page's own, which is opaque
  const groundsOf = (element) => {
    const grounds = [];
    for (let around = element; around; around = around.parentElement) {
      grounds.push(painted(getComputedStyle(around).backgroundColor));
    }
    return [...grounds, pageGround()];
  };

  const opacityOf = (element) => {
    let opacity = 1;
    for (let around = element; around; around = around.parentElement) {
      opacity *= Number(getComputedStyle(around).opacity);
    }
    return opacity;
  };

  const seenThrough = ([red, green, blue, alpha], opacity) => [red, green, blue, alpha * opacity];

  const colouredText = (element, colour, grounds) => {
    return { name: named(element), colour: seenThrough(painted(colour), opacityOf(element)), grounds };
  };

  const hasText = (element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");

  const colouredTexts = () =>
    everyElement()
      .filter((element) => !element.closest("svg") && hasText(element) && isSeen(element))
      .map((element) => colouredText(element, getComputedStyle(element).color, groundsOf(element)));

  const shapesBehind = (text, drawing) => {
    const { x, y, width, height } = text.getBoundingClientRect();
    const shapes = document.elementsFromPoint(x + width / 2, y + height / 2);
    return shapes.filter((shape) => shape.closest("svg") === drawing && shape !== drawing && !text.contains(shape));
  };

  // A text over pixels is left out: what it lies on can't be computed.
  const colouredTextsOf = (drawing) =>
    textsOf(drawing).flatMap((text) => {
      const shapes = shapesBehind(text, drawing);
      if (shapes.some((shape) => shape.tagName === "image")) return [];
      const filled = shapes.filter((shape) => getComputedStyle(shape).fill !== "none");
      const opacityOfFill = (shape) => opacityOf(shape) * Number(getComputedStyle(shape).fillOpacity);
      const fills = filled.map((shape) => seenThrough(painted(getComputedStyle(shape).fill), opacityOfFill(shape)));
      const grounds = [...fills, ...groundsOf(drawing)];
      return [colouredText(text, getComputedStyle(text).fill, grounds)];
    });

  const colouredTextsOfFigures = () =>
    [...document.querySelectorAll("figure svg")].filter(isSeen).flatMap(colouredTextsOf);

  const ground = () => ({ name: "page", colour: [0, 0, 0, 0], grounds: groundsOf(document.body) });

  const openAll = () => document.querySelectorAll("details").forEach((details) => (details.open = true));

  return {
    figures,
    beyondTheRightEdge,
    scrollersWithoutKeyboard,
    colouredTexts,
    colouredTextsOfFigures,
    ground,
    openAll,
  };
})();
