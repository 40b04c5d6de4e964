/** How figures are written in tables. */
export const grouped = (value: number): string => Math.round(value).toLocaleString("en");
export const twoDigits = (value: number): string => value.toFixed(2);
export const millis = (micros: number): string => (micros / 1_000).toFixed(1);
export const mebibytes = (bytes: number): string => (bytes / 1_048_576).toFixed(0);
export const percent = (load: number): string => `${Math.round(load * 100)} %`;
