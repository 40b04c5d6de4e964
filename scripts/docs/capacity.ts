/** Load that a cluster must carry. */
export type Load = {
  readonly connections: number;
  /** Distinct topics and users with subscribers, in the whole cluster. */
  readonly topics: number;
  /** Topics and users that one connection subscribes to. */
  readonly topicsEach: number;
  readonly publicationsPerSecond: number;
  /** Connections that receive one publication, on average. */
  readonly audience: number;
};

/** Costs, measured by `npm run bench` unless stated otherwise. */
export type Costs = typeof measured;

export const measured = {
  /** With one send for each delivery: scenario `steady`. Busy workers need less, because they batch deliveries. */
  microsPerDelivery: 10,
  /** A worker's cost of a publication before the first delivery: scenario `topics`, one subscriber each. */
  microsPerPublication: 5,
  /** With a user and a topic of its own: scenario `opening`. */
  bytesPerConnection: 2_700,
  /** Kernel memory of an idle socket with empty buffers. Assumed, not measured. */
  kernelBytesPerConnection: 4_000,
  /** A node's memory for a subscription of its own, and for one of another node: scenario `interest`. */
  natsBytesPerSubscription: 1_500,
  natsBytesPerRemoteTopic: 900,
  /** Both ends of a route together: scenario `interest`. */
  natsMicrosPerSubscription: 15,
  /** One publication for one worker: scenario `interest`. */
  natsMicrosPerCopy: 1,
};

/** Limits for one machine, which the operator decides. */
export const limits = {
  /** Share of a core in normal operation. The rest is for bursts, and for the connections of a failed worker. */
  utilisation: 0.5,
  /** `PUSHER_MAX_CONNECTIONS`. Each connection needs a file descriptor. */
  connectionsPerWorker: 50_000,
  natsCores: 4,
  natsBytes: 16 * 2 ** 30,
  maxNatsNodes: 30,
};

export type Capacity = {
  readonly deliveriesPerSecond: number;
  readonly workers: number;
  /** The resource that decides the number of workers. */
  readonly workersFor: "file descriptors" | "CPU";
  readonly bytesPerWorker: number;
  /** NATS subscriptions of one worker. */
  readonly subscriptionsPerWorker: number;
  /** Undefined when no number of nodes is enough in one cluster. */
  readonly natsNodes: number | undefined;
  readonly natsFor: "availability" | "CPU" | "memory for interest";
  /** Memory of one NATS node for subscriptions. */
  readonly natsBytes: number;
  /** Time until the workers of a failed NATS node have resubscribed on the remaining nodes. */
  readonly secondsToResubscribe: number;
};

/** Sizes a cluster for a load. Assumes that connections, topics and publications are spread evenly. */
export function capacityFor(load: Load, costs: Costs = measured): Capacity {
  const deliveriesPerSecond = load.publicationsPerSecond * load.audience;
  const forDescriptors = Math.ceil(load.connections / limits.connectionsPerWorker);
  const workers = firstFrom(forDescriptors, (count) => workerLoad(load, costs, count) <= limits.utilisation);
  const subscribers = (load.connections * load.topicsEach) / load.topics;
  const subscriptions = load.topics * reached(subscribers, workers);
  const nats = natsNodesFor(load, costs, workers);
  const nodes = nats.nodes ?? limits.maxNatsNodes;
  return {
    deliveriesPerSecond,
    workers,
    workersFor: workers > forDescriptors ? "CPU" : "file descriptors",
    bytesPerWorker: (load.connections / workers) * (costs.bytesPerConnection + costs.kernelBytesPerConnection),
    subscriptionsPerWorker: subscriptions / workers,
    natsNodes: nats.nodes,
    natsFor: nats.reason,
    natsBytes: interestBytes(load, costs, workers, nodes),
    secondsToResubscribe: ((subscriptions / nodes / (nodes - 1)) * costs.natsMicrosPerSubscription) / 1_000_000,
  };
}

/** Expected number of `places` with at least one of `things`, when each goes to a random place. */
export function reached(things: number, places: number): number {
  return places * (1 - (1 - 1 / places) ** things);
}

/** Share of a core that each of `workers` workers uses. */
function workerLoad(load: Load, costs: Costs, workers: number): number {
  const received = (load.publicationsPerSecond * reached(load.audience, workers)) / workers;
  const deliveries = (load.publicationsPerSecond * load.audience) / workers;
  return (received * costs.microsPerPublication + deliveries * costs.microsPerDelivery) / 1_000_000;
}

function natsNodesFor(load: Load, costs: Costs, workers: number): { nodes?: number; reason: Capacity["natsFor"] } {
  const cores = (load.publicationsPerSecond * reached(load.audience, workers) * costs.natsMicrosPerCopy) / 1_000_000;
  const forCpu = Math.max(3, Math.ceil(cores / (limits.natsCores * limits.utilisation)));
  for (let nodes = forCpu; nodes <= limits.maxNatsNodes; nodes++) {
    if (interestBytes(load, costs, workers, nodes) > limits.natsBytes) continue;
    return { nodes, reason: nodes > forCpu ? "memory for interest" : forCpu > 3 ? "CPU" : "availability" };
  }
  return { reason: forCpu > limits.maxNatsNodes ? "CPU" : "memory for interest" };
}

/** A node stores the subscriptions of its workers, and for each other node every topic subscribed to there. */
function interestBytes(
  { topics, connections, topicsEach }: Load,
  costs: Costs,
  workers: number,
  nodes: number,
): number {
  const subscribers = (connections * topicsEach) / topics;
  const own = (topics * reached(subscribers, workers)) / nodes;
  const remote = (topics * reached(subscribers, nodes) * (nodes - 1)) / nodes;
  return own * costs.natsBytesPerSubscription + remote * costs.natsBytesPerRemoteTopic;
}

function firstFrom(start: number, suffices: (count: number) => boolean): number {
  // A binary search is correct, because one more worker never makes the others busier.
  let enough = Math.max(1, start);
  if (suffices(enough)) return enough;
  let short = enough;
  while (!suffices(enough)) {
    short = enough;
    enough *= 2;
  }
  while (enough - short > 1) {
    const middle = Math.floor((short + enough) / 2);
    if (suffices(middle)) enough = middle;
    else short = middle;
  }
  return enough;
}
