/** Fills in a greeting template. Only `{worker}` and `{connection}` are replaced; a template without them stays as it is. */
export function greeting(template: string, workerId: string, connectionId: number): string {
  return template.replaceAll("{worker}", workerId).replaceAll("{connection}", String(connectionId));
}
