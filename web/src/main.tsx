import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { keepToken, token } from "./api";
import { clock, currentLanguage, type Language, speak, t } from "./i18n";
import { ApprovalsPage, ApprovalView } from "./pages/approvals";
import { DatasetPage, DatasetsPage } from "./pages/datasets";
import { NetworkPage, NodePage } from "./pages/operator";
import { TaskView } from "./pages/task";
import { Tasks } from "./pages/tasks";
import { JournalPage, UsagePage } from "./pages/usage";
import { go, line, signedOut, useAnswer, useShared } from "./state";
import "./style/colours.css";
import "./style/page.css";
import "./style/pieces.css";
import "./style/forms.css";
import "./style/pictures.css";
import "./style/narrow.css";
import type { Scope, Session } from "./types";
import { Answered, Card, Empty, Page } from "./ui";

interface Place {
  path: string;
  name: () => string;
  needs: Scope;
}

const PLACES: { title: () => string; places: Place[] }[] = [
  {
    title: () => t("Owner"),
    places: [
      { path: "/approvals", name: () => t("Approvals"), needs: "approve" },
      { path: "/usage", name: () => t("Who computes"), needs: "approve" },
      { path: "/datasets", name: () => t("Datasets"), needs: "read" },
      { path: "/journal", name: () => t("Journal"), needs: "approve" },
    ],
  },
  { title: () => t("Author"), places: [{ path: "/tasks", name: () => t("Tasks"), needs: "read" }] },
  {
    title: () => t("Operator"),
    places: [
      { path: "/node", name: () => t("This node"), needs: "read" },
      { path: "/network", name: () => t("Network"), needs: "read" },
    ],
  },
];

const THEME = "delta-theme";
type Theme = "auto" | "light" | "dark";

function dress(theme: Theme): void {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  localStorage.setItem(THEME, theme);
}

function whereAmI(): string {
  return location.hash.replace(/^#/, "") || "/";
}

function View(props: { path: string; scopes: Scope[] }) {
  const [, first = "", second = ""] = props.path.split("/");
  const { scopes } = props;
  const place = PLACES.flatMap((group) => group.places).find((p) => p.path === `/${first}`);
  if (place && !scopes.includes(place.needs)) return <Closed needs={place.needs} />;
  switch (first) {
    case "approvals":
      return second ? <ApprovalView key={second} task={second} /> : <ApprovalsPage />;
    case "usage":
      return <UsagePage />;
    case "datasets":
      return second ? <DatasetPage key={second} name={decode(second)} /> : <DatasetsPage />;
    case "journal":
      return <JournalPage />;
    case "tasks":
      return /^\d+$/.test(second) ? (
        <TaskView key={second} id={Number(second)} scopes={scopes} />
      ) : (
        <Tasks scopes={scopes} />
      );
    case "node":
      return <NodePage scopes={scopes} />;
    case "network":
      return <NetworkPage />;
    default:
      return (
        <Page title={t("No such page")}>
          <Card>
            <Empty title={t("There is nothing at this address.")}>
              <a href="#/tasks">{t("Tasks")}</a>
            </Empty>
          </Card>
        </Page>
      );
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function Closed(props: { needs: Scope }) {
  return (
    <Page title={t("Not for you")}>
      <Card>
        <Empty title={t("Your token does not open this page.")}>
          {t("It needs the scope {scope}.", { scope: props.needs })}
        </Empty>
      </Card>
    </Page>
  );
}

/** Whether what is shown moves by itself; pages that do not say nothing. */
function Live() {
  const now = useShared(line);
  return (
    <span class={`live ${now.state}`} role="status">
      {now.state === "open" && t("live")}
      {now.state === "away" && t("not live: tries again at {time}", { time: clock(now.until) })}
    </span>
  );
}

function SignIn(props: { why: string | null; done: () => void }) {
  const [text, type] = useState("");
  const enter = (event: Event) => {
    event.preventDefault();
    keepToken(text.trim());
    props.done();
  };
  return (
    <main id="main" class="sign-in">
      <form class="card" onSubmit={enter}>
        <h1>{t("Sign in to this node")}</h1>
        {props.why && (
          <p class="fault" role="alert">
            {props.why}
          </p>
        )}
        <label for="token">{t("Token")}</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => type(event.currentTarget.value)}
        />
        <button type="submit" class="main" disabled={!text.trim()}>
          {t("Sign in")}
        </button>
        <p class="quiet">{t("The owner of the node makes a token on its machine; it says what you may see and do:")}</p>
        <pre>delta-node token create anna --scope submit,read,result</pre>
        <p class="quiet">{t("It stays in this tab, and is forgotten when the tab is closed.")}</p>
      </form>
    </main>
  );
}

function App() {
  const session = useAnswer<Session>("/v1/board/session");
  const [path, move] = useState(whereAmI());
  const [, redraw] = useState(0);
  const refused = useShared(signedOut);
  useEffect(() => {
    const moved = () => move(whereAmI());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  const scopes = session.value?.scopes ?? [];
  const open = PLACES.flatMap((group) => group.places).find((place) => scopes.includes(place.needs));
  useEffect(() => {
    if (path === "/" && open) location.replace(`#${open.path}`);
  }, [path, open]);
  const change = (language: Language) => {
    speak(language);
    redraw((n) => n + 1);
  };
  const again = () => {
    signedOut.set(null);
    session.again();
  };
  const leave = () => {
    keepToken(null);
    go("/");
    again();
  };
  const out = session.value !== null && (scopes.length === 0 || refused !== null);
  return (
    <>
      <button type="button" class="skip" onClick={() => document.querySelector<HTMLElement>("main h1")?.focus()}>
        {t("To the content")}
      </button>
      <header class="top">
        <a class="brand" href="#/">
          <img src="/icon.svg" alt="" width="22" height="22" /> Delta
        </a>
        <Live />
        <Settings language={currentLanguage()} change={change} />
        {token() && (
          <button type="button" onClick={leave}>
            {t("Sign out")}
          </button>
        )}
      </header>
      {out || session.error ? null : (
        <nav aria-label={t("Pages")}>
          {PLACES.map((group) => {
            const places = group.places.filter((place) => scopes.includes(place.needs));
            if (places.length === 0) return null;
            return (
              <div key={group.places[0]?.path} class="group">
                <h2>{group.title()}</h2>
                <ul>
                  {places.map((place) => (
                    <li key={place.path}>
                      <a href={`#${place.path}`} aria-current={path.startsWith(place.path) ? "page" : undefined}>
                        {place.name()}
                      </a>
                    </li>
                  ))}
                </ul>
              </div>
            );
          })}
          {session.value && <p class="version quiet">delta-node {session.value.version}</p>}
        </nav>
      )}
      {out ? (
        <SignIn why={refused ?? session.value?.refused ?? null} done={again} />
      ) : session.value ? (
        <View key={`${currentLanguage()}${path}`} path={path} scopes={scopes} />
      ) : (
        <main id="main">
          <Answered of={session} waits={t("The node is asked what you may see.")}>
            {() => null}
          </Answered>
        </main>
      )}
    </>
  );
}

function Settings(props: { language: Language; change: (language: Language) => void }) {
  const [theme, set] = useState<Theme>((localStorage.getItem(THEME) as Theme | null) ?? "auto");
  return (
    <div class="settings">
      <label>
        <span class="unseen">{t("Theme")}</span>
        <select
          value={theme}
          onChange={(event) => {
            const chosen = event.currentTarget.value as Theme;
            dress(chosen);
            set(chosen);
          }}
        >
          <option value="auto">{t("as the system")}</option>
          <option value="light">{t("light")}</option>
          <option value="dark">{t("dark")}</option>
        </select>
      </label>
      <label>
        <span class="unseen">{t("Language")}</span>
        <select value={props.language} onChange={(event) => props.change(event.currentTarget.value as Language)}>
          <option value="en">English</option>
          <option value="zh">中文</option>
        </select>
      </label>
    </div>
  );
}

speak(currentLanguage());
dress((localStorage.getItem(THEME) as Theme | null) ?? "auto");
const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(<App />, root);
}
