/** `PUSHER_PORT` and its like, as Kubernetes and Docker write them for a service that is named `pusher`. */
const LINK_VALUE = /^(tcp|udp|sctp):\/\//;
const LINK_NAME = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;

/**
 * Whether a container engine wrote this variable to say where a service is. Kubernetes does so in every container for
 * every service of the namespace, with the service's name as the prefix: `PUSHER_SERVICE_HOST`,
 * `PUSHER_PORT=tcp://10.0.0.1:4236`.
 */
export function isServiceLink(name: string, value: string): boolean {
  return LINK_NAME.test(name) || (name.endsWith("_PORT") && LINK_VALUE.test(value));
}
