// A graph as a picture: inputs above, outputs below, each operator under those it needs. Long chains are folded into one box.

import { useMemo, useState } from "preact/hooks";
import { bytes } from "./api";
import { counted, size, t } from "./i18n";
import { type Graph, readGraph } from "./onnx";
import { told } from "./state";
import { Fault, Waiting } from "./ui";

interface Box {
  words: string[];
  kind: "in" | "out" | "op";
  from: Set<number>;
  layer: number;
  x: number;
}

const WIDTH = 150;
const HEIGHT = 34;
const GAP = 18;
const ROW = 62;
const MOST = 160;

function short(words: string): string {
  return words.length > 22 ? `${words.slice(0, 21)}…` : words;
}

/** Boxes and who feeds whom; a chain in which nobody else takes part is one box. */
function boxes(graph: Graph): Box[] {
  const users = new Map<string, number>();
  for (const node of graph.nodes) for (const name of new Set(node.inputs)) users.set(name, (users.get(name) ?? 0) + 1);
  const results = new Set(graph.outputs.map((output) => output.name));
  const all: Box[] = graph.inputs.map((input) => ({
    words: [short(input.name), short(input.type)],
    kind: "in",
    from: new Set<number>(),
    layer: 0,
    x: 0,
  }));
  const maker = new Map<string, number>();
  graph.inputs.forEach((input, i) => {
    maker.set(input.name, i);
  });
  for (const node of graph.nodes) {
    const from = new Set<number>();
    let fresh = true;
    for (const name of node.inputs) {
      const box = maker.get(name);
      if (box === undefined) continue;
      from.add(box);
      fresh = fresh && (users.get(name) ?? 0) === 1 && !results.has(name);
    }
    const [only] = from;
    const before = only === undefined ? undefined : all[only];
    let at = only ?? 0;
    if (from.size === 1 && fresh && before?.kind === "op") before.words.push(node.op);
    else {
      at = all.length;
      all.push({ words: [node.op], kind: "op", from, layer: 0, x: 0 });
    }
    for (const name of node.outputs) maker.set(name, at);
  }
  for (const output of graph.outputs) {
    const from = maker.get(output.name);
    const box: Box = { words: [short(output.name), short(output.type)], kind: "out", from: new Set(), layer: 0, x: 0 };
    if (from !== undefined) box.from.add(from);
    all.push(box);
  }
  return all;
}

/** Layers by the longest way from the inputs; within a layer near those that feed a box. */
function place(all: Box[]): { width: number; layers: number } {
  for (const box of all) for (const from of box.from) box.layer = Math.max(box.layer, (all[from]?.layer ?? 0) + 1);
  const last = Math.max(0, ...all.map((box) => box.layer));
  for (const box of all) if (box.kind === "out") box.layer = last;
  const layers: Box[][] = [];
  for (const box of all) {
    layers[box.layer] ??= [];
    layers[box.layer]?.push(box);
  }
  const widest = Math.max(1, ...layers.map((layer) => layer?.length ?? 0));
  const width = widest * (WIDTH + GAP) + GAP;
  for (const layer of layers) {
    const wish = (box: Box) => {
      const at = [...box.from].map((from) => all[from]?.x ?? 0);
      return at.length ? at.reduce((a, b) => a + b, 0) / at.length : 0;
    };
    layer.sort((a, b) => wish(a) - wish(b));
    const free = (width - layer.length * (WIDTH + GAP) + GAP) / 2;
    layer.forEach((box, i) => {
      box.x = free + i * (WIDTH + GAP);
    });
  }
  return { width, layers: last + 1 };
}

export function Picture(props: { graph: Graph; name: string }) {
  const drawn = useMemo(() => {
    const all = boxes(props.graph);
    return all.length > MOST ? null : { all, ...place(all) };
  }, [props.graph]);
  const ops = new Map<string, number>();
  for (const node of props.graph.nodes) ops.set(node.op, (ops.get(node.op) ?? 0) + 1);
  const listed = [...ops].sort((a, b) => b[1] - a[1]).map(([op, n]) => `${op} ×${n}`);
  const words = t("Graph {name}: from {inputs} to {outputs} by {n} operators", {
    name: props.name,
    inputs: props.graph.inputs.map((i) => i.name).join(", "),
    outputs: props.graph.outputs.map((o) => o.name).join(", "),
    n: props.graph.nodes.length,
  });
  return (
    <figure class="graph">
      {drawn && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
        <section class="scroll" tabIndex={0} aria-label={words}>
          <svg width={drawn.width} height={drawn.layers * ROW + 8} role="img" aria-label={words}>
            {drawn.all.map((box) =>
              [...box.from].map((from) => {
                const above = drawn.all[from];
                if (!above) return null;
                const [x1, y1] = [above.x + WIDTH / 2, above.layer * ROW + 4 + HEIGHT];
                const [x2, y2] = [box.x + WIDTH / 2, box.layer * ROW + 4];
                const bend = (y2 - y1) / 2;
                return <path class="edge" d={`M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`} />;
              }),
            )}
            {drawn.all.map((box) => (
              <g class={`box ${box.kind}`} transform={`translate(${box.x} ${box.layer * ROW + 4})`}>
                <title>{box.words.join(" → ")}</title>
                <rect width={WIDTH} height={HEIGHT} rx="5" />
                {box.kind === "op" ? (
                  <text x={WIDTH / 2} y="21">
                    {short(box.words.length > 2 ? `${box.words[0]} … ${box.words.at(-1)}` : box.words.join(" → "))}
                  </text>
                ) : (
                  <>
                    <text x={WIDTH / 2} y="15" class="strong">
                      {box.words[0]}
                    </text>
                    <text x={WIDTH / 2} y="28">
                      {box.words[1]}
                    </text>
                  </>
                )}
              </g>
            ))}
          </svg>
        </section>
      )}
      <figcaption class="quiet">
        {counted(props.graph.nodes.length, "{n} operator", "{n} operators")}: {listed.slice(0, 12).join(", ")}
        {listed.length > 12 && " …"}
        {!drawn && ` ${t("There are too many to be drawn.")}`}
      </figcaption>
    </figure>
  );
}

/** The graphs of a bundle, one at a time; each is fetched when it is chosen. */
export function Graphs(props: { files: Record<string, number>; path: (file: string) => string }) {
  const names = Object.keys(props.files);
  const [chosen, choose] = useState<string | null>(null);
  const [shown, show] = useState<{ graph?: Graph; error?: string }>({});
  const open = (name: string) => {
    choose(name);
    show({});
    bytes(props.path(name)).then(
      (file) => {
        try {
          show({ graph: readGraph(file) });
        } catch (error) {
          show({ error: told(error) });
        }
      },
      (error) => show({ error: told(error) }),
    );
  };
  return (
    <>
      <div class="buttons">
        {names.map((name) => (
          <button type="button" key={name} aria-pressed={name === chosen} onClick={() => open(name)}>
            <span class="mono">{name.replace(/^graphs\//, "")}</span>{" "}
            <span class="quiet">{size(props.files[name] ?? 0)}</span>
          </button>
        ))}
      </div>
      {chosen && shown.error && <Fault text={shown.error} again={() => open(chosen)} />}
      {chosen && shown.graph && <Picture graph={shown.graph} name={chosen} />}
      {chosen && !shown.graph && !shown.error && <Waiting text={t("The graph is being fetched from the node.")} />}
    </>
  );
}
