// Results: `.npz`, which is a zip of `.npy`, read in the browser; and the same as CSV and JSON.

export interface Ndarray {
  name: string;
  dtype: string;
  shape: number[];
  values: (number | boolean)[];
  /** The `.npy` as it is in the file. */
  file: Uint8Array<ArrayBuffer>;
}

const DTYPES: Record<string, [number, (view: DataView, at: number) => number | boolean, string]> = {
  "<f8": [8, (v, i) => v.getFloat64(i, true), "f64"],
  "<f4": [4, (v, i) => v.getFloat32(i, true), "f32"],
  "<i8": [8, (v, i) => Number(v.getBigInt64(i, true)), "i64"],
  "<u8": [8, (v, i) => Number(v.getBigUint64(i, true)), "u64"],
  "<i4": [4, (v, i) => v.getInt32(i, true), "i32"],
  "<u4": [4, (v, i) => v.getUint32(i, true), "u32"],
  "<i2": [2, (v, i) => v.getInt16(i, true), "i16"],
  "<u2": [2, (v, i) => v.getUint16(i, true), "u16"],
  "|i1": [1, (v, i) => v.getInt8(i), "i8"],
  "|u1": [1, (v, i) => v.getUint8(i), "u8"],
  "|b1": [1, (v, i) => v.getUint8(i) !== 0, "bool"],
};

async function inflate(packed: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** One array of a `.npy`. */
export function readNpy(name: string, file: Uint8Array<ArrayBuffer>): Ndarray {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file[0] !== 0x93 || String.fromCharCode(...file.subarray(1, 6)) !== "NUMPY")
    throw new Error(`${name} is no .npy`);
  const wide = (file[6] ?? 1) > 1;
  const begin = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder("latin1").decode(file.subarray(begin, begin + length));
  const descr = /'descr':\s*'([^']+)'/.exec(header)?.[1] ?? "";
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? "")
    .split(",")
    .filter((part) => part.trim())
    .map(Number);
  const kind = DTYPES[descr];
  if (!kind || /'fortran_order':\s*True/.test(header)) throw new Error(`${name}: arrays of ${descr} are not shown`);
  const [width, read, dtype] = kind;
  const count = shape.reduce((a, b) => a * b, 1);
  if (begin + length + count * width > file.byteLength) throw new Error(`${name} ends too early`);
  const values: (number | boolean)[] = new Array(count);
  for (let i = 0; i < count; i += 1) values[i] = read(view, begin + length + i * width);
  return { name, dtype, shape, values, file };
}

/** All arrays of an `.npz`, in the file's order, as its directory lists them. */
export async function readNpz(bytes: Uint8Array<ArrayBuffer>): Promise<Ndarray[]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) throw new Error("the result is no .npz");
  const arrays: Ndarray[] = [];
  let at = view.getUint32(end + 16, true);
  for (let n = view.getUint16(end + 10, true); n > 0; n -= 1) {
    if (view.getUint32(at, true) !== 0x02014b50) throw new Error("the result is damaged");
    const method = view.getUint16(at + 10, true);
    let packed = view.getUint32(at + 20, true);
    let local = view.getUint32(at + 42, true);
    const [name, extra, remark] = [28, 30, 32].map((o) => view.getUint16(at + o, true)) as [number, number, number];
    const path = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + name));
    // Zip64: what does not fit 32 bits stands in an extra field, in this order.
    let field = at + 46 + name;
    const fields = field + extra;
    while (field + 4 <= fields) {
      const length = view.getUint16(field + 2, true);
      if (view.getUint16(field, true) === 1) {
        let wide = field + 4;
        if (view.getUint32(at + 24, true) === 0xffffffff) wide += 8;
        if (packed === 0xffffffff) {
          packed = Number(view.getBigUint64(wide, true));
          wide += 8;
        }
        if (local === 0xffffffff) local = Number(view.getBigUint64(wide, true));
      }
      field += 4 + length;
    }
    const data = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const content = bytes.slice(data, data + packed);
    const file = method === 8 ? await inflate(content) : content;
    arrays.push(readNpy(path.replace(/\.npy$/, ""), file));
    at += 46 + name + extra + remark;
  }
  return arrays;
}

/** As a table: rows and columns of the last two dimensions, all others one below the other. */
export function columnsOf(array: Ndarray): number {
  return array.shape.length > 1 ? (array.shape.at(-1) ?? 1) : 1;
}

export function toCsv(array: Ndarray): string {
  const columns = Math.max(1, columnsOf(array));
  const lines: string[] = [];
  for (let i = 0; i < array.values.length; i += columns) lines.push(array.values.slice(i, i + columns).join(","));
  return `${lines.join("\n")}\n`;
}

function nested(values: unknown[], shape: number[]): unknown {
  if (shape.length === 0) return values[0];
  if (shape.length === 1) return values;
  const [first = 0, ...rest] = shape;
  const each = rest.reduce((a, b) => a * b, 1);
  return Array.from({ length: first }, (_, i) => nested(values.slice(i * each, (i + 1) * each), rest));
}

/** JSON has no word for NaN and infinity: they are texts there. */
export function toJson(arrays: Ndarray[]): string {
  const plain = (value: number | boolean) =>
    typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
  const all = arrays.map((a) => [a.name, nested(a.values.map(plain), a.shape)]);
  return JSON.stringify(Object.fromEntries(all), null, 1);
}
