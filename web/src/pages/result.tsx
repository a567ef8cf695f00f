// The result of a task: its arrays as tables, and as files.

import { useEffect, useState } from "preact/hooks";
import { open, query } from "../api";
import { number, size, t } from "../i18n";
import { columnsOf, type Ndarray, readNpz, toCsv, toJson } from "../npz";
import { told } from "../state";
import type { Status, TaskPage } from "../types";
import { Card, Empty, Fault, Table, Waiting } from "../ui";
import { Download, save } from "./task";

/** A larger result is not shown: it is downloaded. */
const SHOWN = 32 << 20;
const ROWS = 50;
const COLUMNS = 16;

export function Result(props: { id: number; status: Status; may: boolean; page: TaskPage }) {
  const there = props.status === "FINISHED" || props.status === "CONFIRMED";
  if (!there) {
    const failed = props.status === "ERROR";
    return (
      <Card title={t("Result")}>
        <Empty
          title={failed ? t("The task failed: it has no result.") : t("The result is there when the task is finished.")}
        />
      </Card>
    );
  }
  if (!props.may) {
    return (
      <Card title={t("Result")}>
        <Empty title={t("Your token does not open results.")}>
          {t("It needs the scope {scope}.", { scope: "result" })}
        </Empty>
      </Card>
    );
  }
  return <Arrays id={props.id} page={props.page} />;
}

function Arrays(props: { id: number; page: TaskPage }) {
  const path = query("/v1/task/result", { task_id: props.id });
  const [state, set] = useState<{ arrays?: Ndarray[]; large?: number; error?: string }>({});
  useEffect(() => {
    const stop = new AbortController();
    const read = async () => {
      const file = await open(path, stop.signal);
      if (file.length > SHOWN) {
        stop.abort();
        return set({ large: file.length });
      }
      const blob = await file.read();
      set({ arrays: await readNpz(new Uint8Array(await blob.arrayBuffer())) });
    };
    read().catch((error) => {
      if (!stop.signal.aborted) set({ error: told(error) });
    });
    return () => stop.abort();
  }, [path]);
  const arrays = state.arrays;
  const asFile = (text: string, type: string, name: string) => save(new Blob([text], { type }), name);
  return (
    <Card
      title={t("Result")}
      side={
        <div class="buttons">
          <Download path={path} name={`${props.id}.result.npz`} label=".npz" />
          {arrays && (
            <button type="button" onClick={() => asFile(toJson(arrays), "application/json", `${props.id}.result.json`)}>
              .json
            </button>
          )}
        </div>
      }
    >
      {state.error && <Fault text={state.error} />}
      {state.large && (
        <Empty title={t("The result has {size}: too much to be shown.", { size: size(state.large) })}>
          {t("Download it as .npz and open it with numpy.load or delta.")}
        </Empty>
      )}
      {!arrays && !state.error && !state.large && <Waiting text={t("The result is being fetched from the node.")} />}
      {arrays?.map((array) => (
        <Shown key={array.name} array={array} id={props.id} />
      ))}
    </Card>
  );
}

function Shown(props: { array: Ndarray; id: number }) {
  const { array } = props;
  const columns = Math.max(1, columnsOf(array));
  const rows = Math.ceil(array.values.length / columns);
  const [width, height] = [Math.min(columns, COLUMNS), Math.min(rows, ROWS)];
  const file = `${props.id}.${array.name}`;
  return (
    <section class="array" aria-label={array.name}>
      <header>
        <h3 class="mono">{array.name}</h3>
        <span class="quiet mono">
          {array.dtype}
          {array.shape.length > 0 && `[${array.shape.join("×")}]`}
        </span>
        <div class="buttons">
          <button type="button" onClick={() => save(new Blob([toCsv(array)], { type: "text/csv" }), `${file}.csv`)}>
            .csv
          </button>
          <button type="button" onClick={() => save(new Blob([array.file]), `${file}.npy`)}>
            .npy
          </button>
        </div>
      </header>
      {array.values.length === 1 ? (
        <p class="large num">{shown(array.values[0])}</p>
      ) : array.values.length === 0 ? (
        <p class="quiet">{t("It has no numbers.")}</p>
      ) : (
        <Table
          caption={array.name}
          class="numbers"
          head={["", ...Array.from({ length: width }, (_, i) => (columns > 1 ? String(i) : t("value")))]}
        >
          {Array.from({ length: height }, (_, i) => (
            <tr key={i}>
              <th scope="row" class="quiet num">
                {i}
              </th>
              {Array.from({ length: width }, (_, j) => {
                const value = array.values[i * columns + j];
                return (
                  <td key={j} class="num" title={value === undefined ? "" : String(value)}>
                    {shown(value)}
                  </td>
                );
              })}
            </tr>
          ))}
        </Table>
      )}
      {(columns > width || rows > height) && (
        <p class="quiet">
          {t("The first {rows} of {allrows} rows and {columns} of {allcolumns} columns.", {
            rows: number(height),
            allrows: number(rows),
            columns: number(width),
            allcolumns: number(columns),
          })}
        </p>
      )}
    </section>
  );
}

function shown(value: number | boolean | undefined): string {
  if (typeof value === "number") return Number.isFinite(value) ? number(value, 6) : String(value);
  return value === undefined ? "" : String(value);
}
