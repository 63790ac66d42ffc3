import { styleText } from "node:util";

/** Colours for one stream; each returns the text unchanged where colours are not wanted. */
export interface Style {
  good(text: string): string;
  bad(text: string): string;
  busy(text: string): string;
  faint(text: string): string;
  strong(text: string): string;
}

type Colour = Parameters<typeof styleText>[0];

/** Colours only on a terminal; NO_COLOR and FORCE_COLOR decide as usual (Node's own rules). */
export function styleFor(stream: NodeJS.WriteStream): Style {
  const paint =
    (format: Colour) =>
    (text: string): string =>
      styleText(format, text, { stream });
  return {
    good: paint("green"),
    bad: paint("red"),
    busy: paint("yellow"),
    faint: paint("dim"),
    strong: paint("bold"),
  };
}

const unpainted = (text: string): string => text;
export const plainStyle: Style = {
  good: unpainted,
  bad: unpainted,
  busy: unpainted,
  faint: unpainted,
  strong: unpainted,
};
