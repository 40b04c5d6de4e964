/** Value of `PUSHER_PORT` when Kubernetes or Docker sets it for a service named `pusher`. */
const LINK_VALUE = /^(tcp|udp|sctp):\/\//;
const LINK_NAME = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;

/**
 * Whether a container engine set this variable to announce a service. Kubernetes sets some in every container for every
 * service of the namespace, with the name of the service as the prefix: `PUSHER_SERVICE_HOST`,
 * `PUSHER_PORT=tcp://10.0.0.1:4236`.
 */
export function isServiceLink(name: string, value: string): boolean {
  return LINK_NAME.test(name) || (name.endsWith("_PORT") && LINK_VALUE.test(value));
}
