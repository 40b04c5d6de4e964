/** Whether the text is a setting of origins that may call the API: an origin as browsers send it, or `*` for all. */
export function isOriginSetting(text: string): boolean {
  return text === "*" || (URL.canParse(text) && new URL(text).origin === text);
}
