// What is wrong with a field, beside it.

import { errors } from "./store";

/** The field of the scenario that a problem is about: `faults` of `faults.3`. */
export function root(field: string): string {
  return field.split(/[.[]/)[0]!;
}

export function Problems({ name, id }: { name: string; id?: string | undefined }) {
  const found = errors.value.filter(({ field }) => root(field) === name);
  if (found.length === 0) return null;
  return <p class="problem" id={id} role="alert">{found.map(({ problem }) => problem).join(" ")}</p>;
}
