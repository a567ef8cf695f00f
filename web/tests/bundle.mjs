// Bundles are zip files: read by their directory, written without compression.

import { crc32, inflateRawSync } from "node:zlib";

export function readBundle(bytes) {
  const files = new Map();
  let end = bytes.length - 22;
  while (bytes.readUInt32LE(end) !== 0x06054b50) end -= 1;
  let at = bytes.readUInt32LE(end + 16);
  for (let n = bytes.readUInt16LE(end + 10); n > 0; n -= 1) {
    const [method, packed, local] = [
      bytes.readUInt16LE(at + 10),
      bytes.readUInt32LE(at + 20),
      bytes.readUInt32LE(at + 42),
    ];
    const [name, extra, remark] = [28, 30, 32].map((o) => bytes.readUInt16LE(at + o));
    const begin = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const content = bytes.subarray(begin, begin + packed);
    files.set(bytes.toString("utf8", at + 46, at + 46 + name), method === 8 ? inflateRawSync(content) : content);
    at += 46 + name + extra + remark;
  }
  const manifest = JSON.parse(files.get("task.json"));
  files.delete("task.json");
  return { manifest, files };
}

export function writeBundle(manifest, files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [name, content] of [["task.json", Buffer.from(JSON.stringify(manifest))], ...files]) {
    const path = Buffer.from(name);
    const entry = Buffer.alloc(26);
    entry.writeUInt16LE(20, 0);
    entry.writeUInt16LE(0x800, 2);
    entry.writeUInt16LE(0x21, 8);
    entry.writeUInt32LE(crc32(content), 10);
    entry.writeUInt32LE(content.length, 14);
    entry.writeUInt32LE(content.length, 18);
    entry.writeUInt16LE(path.length, 22);
    parts.push(Buffer.from("PK\x03\x04"), entry, path, content);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\x00", "latin1"), entry, rest, path);
    offset += 30 + path.length + content.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.size + 1, 8);
  end.writeUInt16LE(files.size + 1, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, listed, end]);
}
