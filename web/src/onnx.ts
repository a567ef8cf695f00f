// Just enough of ONNX to draw a graph. The bytes are a stranger's: whatever is wrong with them ends as an error, never as more memory than
// the file has. Field numbers: onnx.proto, ModelProto, GraphProto, NodeProto, ValueInfoProto.

export interface GraphNode {
  op: string;
  inputs: string[];
  outputs: string[];
}

export interface Value {
  name: string;
  type: string;
}

export interface Graph {
  inputs: Value[];
  outputs: Value[];
  constants: Set<string>;
  nodes: GraphNode[];
}

const TYPES = ["", "f32", "u8", "i8", "u16", "i16", "i32", "i64", "text", "bool", "f16", "f64", "u32", "u64"];

class Reader {
  at = 0;
  constructor(readonly bytes: Uint8Array) {}

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 64; shift += 7) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new Error("the graph ends too early");
      // Beyond 2^53 the number is of no use here; it is read over.
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new Error("the graph is damaged");
  }

  piece(): Uint8Array {
    const length = this.varint();
    const end = this.at + length;
    if (end > this.bytes.length) throw new Error("the graph ends too early");
    const piece = this.bytes.subarray(this.at, end);
    this.at = end;
    return piece;
  }

  /** Calls for each field with its number; what is not taken is read over. */
  each(take: (field: number, reader: Reader, wire: number) => boolean): void {
    while (this.at < this.bytes.length) {
      const key = this.varint();
      const [field, wire] = [Math.floor(key / 8), key % 8];
      if (take(field, this, wire)) continue;
      if (wire === 0) this.varint();
      else if (wire === 1) this.at += 8;
      else if (wire === 2) this.piece();
      else if (wire === 5) this.at += 4;
      else throw new Error("the graph is damaged");
    }
  }
}

const utf8 = new TextDecoder();
const text = (reader: Reader) => utf8.decode(reader.piece());
const inside = (reader: Reader) => new Reader(reader.piece());

function node(reader: Reader): GraphNode {
  const found: GraphNode = { op: "", inputs: [], outputs: [] };
  reader.each((field, at) => {
    if (field === 1) found.inputs.push(text(at));
    else if (field === 2) found.outputs.push(text(at));
    else if (field === 4) found.op = text(at);
    else return false;
    return true;
  });
  return found;
}

function value(reader: Reader): Value {
  const found: Value = { name: "", type: "" };
  reader.each((field, at) => {
    if (field === 1) found.name = text(at);
    else if (field === 2) {
      inside(at).each((kind, tensor) => {
        if (kind !== 1) return false;
        let type = "";
        const dims: string[] = [];
        inside(tensor).each((part, it, wire) => {
          if (part === 1 && wire === 0) type = TYPES[it.varint()] ?? "?";
          else if (part === 2) {
            inside(it).each((dim, shape) => {
              if (dim !== 1) return false;
              let said = "?";
              inside(shape).each((which, d) => {
                if (which === 1) said = String(d.varint());
                else if (which === 2) said = text(d);
                else return false;
                return true;
              });
              dims.push(said);
              return true;
            });
          } else return false;
          return true;
        });
        found.type = dims.length ? `${type}[${dims.join("×")}]` : type;
        return true;
      });
    } else return false;
    return true;
  });
  return found;
}

export function readGraph(bytes: Uint8Array): Graph {
  const graph: Graph = { inputs: [], outputs: [], constants: new Set(), nodes: [] };
  new Reader(bytes).each((field, model) => {
    if (field !== 7) return false;
    inside(model).each((part, at) => {
      if (part === 1) graph.nodes.push(node(inside(at)));
      else if (part === 5) {
        inside(at).each((which, tensor) => {
          if (which !== 8) return false;
          graph.constants.add(text(tensor));
          return true;
        });
      } else if (part === 11) graph.inputs.push(value(inside(at)));
      else if (part === 12) graph.outputs.push(value(inside(at)));
      else return false;
      return true;
    });
    return true;
  });
  graph.inputs = graph.inputs.filter((input) => !graph.constants.has(input.name));
  return graph;
}
