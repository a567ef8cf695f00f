// Words for what the node says in codes.

import { t } from "../i18n";
import type { Who } from "../types";
import type { Tone } from "../ui";

export function classOf(name: string): { tone: Tone; word: string; means: string } {
  if (name === "controlled") {
    return {
      tone: "good",
      word: t("controlled"),
      means: t("The node itself sums what is made of each record, and the rules for counts hold: no sum of few."),
    };
  }
  if (name === "private") {
    return { tone: "good", word: t("private"), means: t("The node adds noise to every sum, and keeps account of it.") };
  }
  return {
    tone: "warn",
    word: t("free"),
    means: t("The author's graph makes what leaves: the node cannot say what is in it."),
  };
}

export function decisionOf(name: string): { tone: Tone; word: string } {
  if (name === "asks") return { tone: "warn", word: t("asks") };
  if (name === "allowed" || name === "allow") return { tone: "good", word: t("allowed") };
  return { tone: "bad", word: t("refused") };
}

export function whoIs(who: Who): string {
  const at = who.own
    ? t("this node")
    : who.organisation
      ? `org:${who.organisation}`
      : who.node
        ? `node ${who.node.slice(0, 16)}…`
        : t("somebody without a key");
  return who.name ? `${who.name} @ ${at}` : at;
}
