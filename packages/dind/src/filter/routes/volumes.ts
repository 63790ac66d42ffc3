import { bool, filters } from "../schema/query.ts";
import { volumeCreate } from "../schemas/volume.ts";
import { get, json, post, route, type Route } from "./route.ts";

export const volumeRoutes: readonly Route[] = [
  route("VolumeList", get, "volumes", { query: { filters }, answer: "paths" }),
  route("VolumeCreate", post, "volumes/create", {
    body: json(volumeCreate),
    step: "volume-create",
    answer: "paths",
  }),
  route("VolumePrune", post, "volumes/prune", { query: { filters } }),
  route("VolumeInspect", get, "volumes/{id}", { answer: "paths" }),
  route("VolumeUpdate", ["PUT"], "volumes/{id}", { local: "denied" }),
  route("VolumeDelete", ["DELETE"], "volumes/{id}", { query: { force: bool } }),
];
