/**
 * Starts Swagger UI when a reader begins to use the page, or opens the link of an operation. Its dark mode is a class
 * of the document, set before the interface appears.
 */
export const docsScript = `const dark = matchMedia("(prefers-color-scheme: dark)");
const applyScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
applyScheme();
dark.addEventListener("change", applyScheme);

const overview = document.getElementById("overview");
const holder = document.getElementById("swagger-ui");
const signs = ["pointermove", "pointerdown", "touchstart", "wheel", "scroll", "keydown", "click"];
/** Operations that were opened before the interface is there. */
const asked = new Set();
const controlOf = (hash) => document.querySelector("#operations-" + hash.slice(2).replace("/", "-") + " .opblock-summary-control");

/** Swagger UI opens the operation of the address itself. */
function show() {
  const focused = document.activeElement?.getAttribute("href");
  overview.remove();
  holder.hidden = false;
  asked.delete(location.hash);
  for (const hash of asked) controlOf(hash)?.click();
  if (focused?.startsWith("#/")) controlOf(focused)?.focus();
  nameFields();
  let isWaiting = false;
  const nameSoon = () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      nameFields();
    });
  };
  new MutationObserver(nameSoon).observe(holder, { childList: true, subtree: true });
}

/** Swagger UI gives its field for the server no name, and its headings a level that is too deep. */
function nameFields() {
  holder.querySelector("#servers:not([aria-label])")?.setAttribute("aria-label", "Server");
  for (const heading of holder.querySelectorAll("h3.opblock-tag:not([aria-level]), .models h4:not([aria-level])")) heading.setAttribute("aria-level", "2");
}

function start() {
  for (const sign of signs) removeEventListener(sign, start);
  const script = document.createElement("script");
  script.src = holder.dataset.src;
  script.addEventListener("load", () => {
    SwaggerUIBundle({
      url: "openapi.json",
      dom_id: "#swagger-ui",
      deepLinking: true,
      // The default validator is a service on the internet.
      validatorUrl: null,
      onComplete: show,
    });
  });
  // The list stays, and the next sign tries again.
  script.addEventListener("error", waitForSign);
  document.head.append(script);
}

function waitForSign() {
  for (const sign of signs) addEventListener(sign, start, { passive: true });
}

overview.addEventListener("click", ({ target }) => {
  const link = target.closest("a[href^='#/']");
  if (link !== null) asked.add(link.getAttribute("href"));
});
if (location.hash.startsWith("#/")) start();
else waitForSign();
`;
