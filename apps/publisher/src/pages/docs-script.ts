/** Starts Swagger UI. Its dark mode is a class of the document, set before the interface appears. */
export const docsScript = `const dark = matchMedia("(prefers-color-scheme: dark)");
const applyScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
applyScheme();
dark.addEventListener("change", applyScheme);
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  // The default validator is a service on the internet.
  validatorUrl: null,
});
`;
