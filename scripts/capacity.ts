/** What a cluster is to carry. */
export type Load = {
  readonly connections: number;
  /** Distinct topics and users that are followed, in the whole cluster. */
  readonly topics: number;
  /** Topics and users that one connection follows. */
  readonly topicsEach: number;
  readonly publicationsPerSecond: number;
  /** Connections that hear one publication, on average. */
  readonly audience: number;
};

/** What things cost; measured by `npm run bench` where nothing else is said. */
export type Costs = typeof measured;

export const measured = {
  /** One send for each delivery: scenario `steady`. Busy workers are cheaper: they send what has gathered. */
  microsPerDelivery: 10,
  /** What a worker pays for a publication before the first delivery: scenario `topics`, one follower each. */
  microsPerPublication: 5,
  /** With a user and one topic, each its own: scenario `opening`. */
  bytesPerConnection: 2_700,
  /** Of the kernel, for an idle socket with empty buffers: assumed, not measured. */
  kernelBytesPerConnection: 4_000,
  /** A node's own subscription, and one of another node it is told of: scenario `interest`. */
  natsBytesPerSubscription: 1_500,
  natsBytesPerRemoteTopic: 900,
  /** On both sides of a route together: scenario `interest`. */
  natsMicrosPerSubscription: 15,
  /** A publication handed to one worker: scenario `interest`. */
  natsMicrosPerCopy: 1,
};

/** What a machine may be used for, decided by whoever runs the cluster. */
export const limits = {
  /** Share of a core in quiet times: the rest is for bursts, and for the connections of a worker that died. */
  utilisation: 0.5,
  /** `PUSHER_MAX_CONNECTIONS`; each is a file descriptor. */
  connectionsPerWorker: 50_000,
  natsCores: 4,
  natsBytes: 16 * 2 ** 30,
  maxNatsNodes: 30,
};

export type Capacity = {
  readonly deliveriesPerSecond: number;
  readonly workers: number;
  /** What asked for so many workers. */
  readonly workersFor: "file descriptors" | "CPU";
  readonly bytesPerWorker: number;
  /** Subscriptions to NATS of one worker. */
  readonly subscriptionsPerWorker: number;
  /** Undefined: no number of them is enough in one cluster. */
  readonly natsNodes: number | undefined;
  readonly natsFor: "availability" | "CPU" | "memory for interest";
  /** Of one NATS node, for interest alone. */
  readonly natsBytes: number;
  /** Until the workers of a NATS node that died have followed everything again, on the nodes that are left. */
  readonly secondsToFollowAgain: number;
};

/** Sizes a cluster for a load. Connections, topics and publications are taken as evenly spread. */
export function capacityFor(load: Load, costs: Costs = measured): Capacity {
  const deliveriesPerSecond = load.publicationsPerSecond * load.audience;
  const forDescriptors = Math.ceil(load.connections / limits.connectionsPerWorker);
  const workers = firstFrom(forDescriptors, (count) => workerLoad(load, costs, count) <= limits.utilisation);
  const followers = (load.connections * load.topicsEach) / load.topics;
  const subscriptions = load.topics * reached(followers, workers);
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
    secondsToFollowAgain: ((subscriptions / nodes / (nodes - 1)) * costs.natsMicrosPerSubscription) / 1_000_000,
  };
}

/** How many of `places` hold at least one of `things` that fell into them at random. */
export function reached(things: number, places: number): number {
  return places * (1 - (1 - 1 / places) ** things);
}

/** Share of a core, of one worker of `workers`. */
function workerLoad(load: Load, costs: Costs, workers: number): number {
  const heard = (load.publicationsPerSecond * reached(load.audience, workers)) / workers;
  const deliveries = (load.publicationsPerSecond * load.audience) / workers;
  return (heard * costs.microsPerPublication + deliveries * costs.microsPerDelivery) / 1_000_000;
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

/** A node keeps the subscriptions of its own workers, and of each other node every topic that is followed there. */
function interestBytes(
  { topics, connections, topicsEach }: Load,
  costs: Costs,
  workers: number,
  nodes: number,
): number {
  const followers = (connections * topicsEach) / topics;
  const own = (topics * reached(followers, workers)) / nodes;
  const remote = (topics * reached(followers, nodes) * (nodes - 1)) / nodes;
  return own * costs.natsBytesPerSubscription + remote * costs.natsBytesPerRemoteTopic;
}

function firstFrom(start: number, suffices: (count: number) => boolean): number {
  // Doubling, then halving: a worker more never makes the others busier.
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
