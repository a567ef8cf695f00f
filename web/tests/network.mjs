// A connector and three hospitals as processes of the real program, with tasks that wait, run, are finished and have failed.

import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readBundle, writeBundle } from "./bundle.mjs";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** What a stranger may write anywhere: shown, it must be these very letters. */
export const HOSTILE = `<img src=x onerror="document.title='owned'"><script>owned=1</script>{{7*7}}\u202e"'&`;

export function program() {
  const given = process.env.DELTA_NODE_BIN;
  const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
  const found = [given, join(target, "release/delta-node"), join(target, "debug/delta-node")].find(
    (p) => p && existsSync(p),
  );
  if (!found) throw new Error("there is no delta-node program: build it with cargo, or set DELTA_NODE_BIN");
  return found;
}

function freePort() {
  return new Promise((resolve) => {
    const held = createServer().listen(0, "127.0.0.1", () => {
      const { port } = held.address();
      held.close(() => resolve(port));
    });
  });
}

export async function until(what, ask, patience = 90_000) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask().catch(() => null);
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const RULES = {
  "patients-private.csv": {
    columns: { id: "identifier", age: "quasi", hba1c: "value", readmitted: "value" },
    approval: "private",
    privacy: { unit: "record", epsilon: 1.25, delta: 1e-6, renew: "yearly" },
    members: 3,
  },
  "patients-controlled.csv": {
    columns: { id: "identifier", age: "quasi", hba1c: "value", readmitted: "value" },
    approval: "controlled",
    rows: 50,
    rounds_per_day: 500,
    members: 3,
  },
  "spector.csv": { kinds: ["statistics"], approval: "never" },
};

/** Every third row of a table, beginning with the n-th. */
function part(table, n) {
  const [head, ...rows] = readFileSync(join(root, "assets", table), "utf8")
    .trim()
    .split("\n");
  return `${[head, ...rows.filter((_, i) => i % 3 === n)].join("\n")}\n`;
}

class Node {
  constructor(name, home, port, connector) {
    Object.assign(this, { name, home, port, url: `http://127.0.0.1:${port}` });
    mkdirSync(join(home, "data"), { recursive: true });
    const config = {
      log: { level: "INFO", dir: "logs" },
      node: { name, url: this.url },
      identity: { organisation: name === HOSTILE ? "Mallory" : `Hospital ${name.slice(-1)}` },
      api_host: "127.0.0.1",
      api_port: port,
      chain_connector: { host: "127.0.0.1", port: connector, heartbeat: 5 },
      policy: { allow_private_addresses: true },
      executor: { threads: 1, sandbox: "best_effort" },
      datasets: RULES,
    };
    writeFileSync(join(home, "config.yaml"), JSON.stringify(config));
  }

  async ask(path, body) {
    const init = body
      ? { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } }
      : {};
    const answer = await fetch(this.url + path, init);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  async submit(bundle) {
    const form = new FormData();
    form.set("file", new Blob([bundle]), "task.delta");
    const answer = await fetch(`${this.url}/v1/task`, { method: "POST", body: form });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    return (await answer.json()).task_id;
  }

  /** The owner's word on a task by its name, once it asks. */
  async say(name, decision) {
    const asked = await until(`${name} to ask ${this.name}`, async () => {
      const { tasks } = await this.ask("/v1/approvals");
      return tasks.find((task) => task.name === name && task.waits);
    });
    await this.ask("/v1/approvals", { task_id: asked.task, decision, scope: "once" });
  }
}

export class Network {
  processes = [];

  static async start() {
    const network = new Network();
    network.folder = mkdtempSync(join(tmpdir(), "delta-pages-"));
    const port = await freePort();
    const home = join(network.folder, "connector");
    mkdirSync(home);
    const config = { connector: { host: "127.0.0.1", port }, log: { dir: "logs" } };
    writeFileSync(join(home, "config.yaml"), JSON.stringify(config));
    network.run(home, "connector");
    network.nodes = [];
    for (const name of ["hospital-1", "hospital-2", "hospital-3"]) {
      const node = new Node(name, join(network.folder, name), await freePort(), port);
      const n = network.nodes.length;
      for (const table of ["wages.csv", "iris.csv", "spector.csv"])
        writeFileSync(join(node.home, "data", table), part(table, n));
      for (const twin of ["patients-private.csv", "patients-controlled.csv"]) {
        writeFileSync(join(node.home, "data", twin), part("patients.csv", n));
      }
      network.nodes.push(node);
      network.run(node.home, "run");
    }
    for (const node of network.nodes) await until(`${node.name} to be ready`, () => node.ask("/readyz"));
    await until("all nodes on record", async () => {
      const { nodes } = await network.nodes[0].ask("/v1/nodes?page=1&page_size=10");
      return nodes.length === 3;
    });
    return network;
  }

  run(home, command) {
    const log = join(home, "said");
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([k]) => !k.startsWith("DELTA_NODE_") && k !== "RUST_LOG"),
    );
    const child = spawn(program(), ["--config", "config.yaml", command], { cwd: home, env, detached: true });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => appendFileSync(log, text));
    this.processes.push(child);
  }

  /** Tasks of every kind at the first hospital: one finished, one that is private, one failed, one cancelled, two that wait. */
  async tasks() {
    const [first, second, third] = this.nodes;
    const asset = (name) => readFileSync(join(root, "assets", `${name}.delta`));
    const fixture = (name) => readFileSync(join(root, "tests/fixtures", `${name}.delta`));
    const over = (id) =>
      until(
        `task ${id} to be over`,
        async () => {
          const { status } = await first.ask(`/v1/task/metadata?task_id=${id}`);
          return ["FINISHED", "ERROR"].includes(status) ? status : null;
        },
        240_000,
      );
    const ids = {};
    ids.private = await first.submit(asset("readmission-private"));
    await over(ids.private);
    // Twelve of its hundred rounds are a curve.
    const learning = readBundle(fixture("iris-logistic"));
    learning.manifest.rounds[0].repeat = 12;
    ids.finished = await first.submit(writeBundle(learning.manifest, learning.files));
    await Promise.all([second, third].map((node) => node.say("iris-logistic", "allow")));
    await over(ids.finished);
    ids.failed = await first.submit(fixture("spector-logit"));
    await over(ids.failed);
    ids.cancelled = await first.submit(fixture("wages-of-three"));
    await until(
      "a task to be on record",
      async () => (await first.ask(`/v1/board/task?task_id=${ids.cancelled}`)).task_id,
    );
    await first.ask("/v1/task/cancel", { task_id: ids.cancelled });
    // Of another node, so that the first one's owner is asked; with whatever a stranger may write.
    const { manifest, files } = readBundle(fixture("wages-means"));
    manifest.name = HOSTILE.slice(0, 190);
    manifest.description = `${HOSTILE}\n${"a long word ".repeat(20)}${"x".repeat(300)}`;
    manifest.authoring = { [HOSTILE.slice(0, 60)]: HOSTILE.slice(0, 60) };
    ids.hostile = await second.submit(writeBundle(manifest, files));
    ids.hostileHere = await first.submit(writeBundle(manifest, files));
    ids.free = await third.submit(asset("correlation"));
    ids.privateAsked = await third.submit(asset("readmission-private"));
    ids.waiting = await first.submit(fixture("wages-means"));
    await until("two questions", async () => {
      const { tasks } = await first.ask("/v1/approvals");
      return tasks.filter((task) => task.waits).length >= 2;
    });
    await until("a task that waits for owners", async () => {
      const { asks_owner } = await first.ask(`/v1/task/progress?task_id=${ids.waiting}`);
      return asks_owner.length > 0;
    });
    return ids;
  }

  async stop() {
    for (const child of this.processes) {
      try {
        process.kill(-child.pid, "SIGTERM");
      } catch {
        // It has ended by itself.
      }
    }
    await Promise.all(
      this.processes.map((child) => (child.exitCode === null ? new Promise((end) => child.on("exit", end)) : null)),
    );
    rmSync(this.folder, { recursive: true, force: true });
  }
}
