"""Names that an organisation gives: pipelines, their stages, custom fields; looked up before planning.

In: desired resources. Out: findings about names that there are not, definitions of custom fields to be made, and
resources as Octolane can hold them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from crmctl.capability import Definition
from crmctl.client import Client
from crmctl.errors import Ambiguous, Rejected, Unsupported
from crmctl.identity import normalise
from crmctl.kinds import KINDS
from crmctl.provider import Finding, Resolution
from crmctl.providers import Options
from crmctl.providers.octolane import FIELDS, OPPORTUNITY_FIELDS, PEOPLE
from crmctl.providers.octolane.custom_fields import PREFIX, CustomField, Place, declared, misfit, suggest_type
from crmctl.providers.octolane.search import Searching
from crmctl.resource import Resource

FIELD_LISTS: Mapping[str, str] = {"account": "/v1/accounts/fields"}
FIELD_ROUTES: Mapping[str, str] = {kind: f"/v1/{KINDS[kind].plural}/fields/bulk" for kind in ("account", "contact")}
STAGES_ROUTE = "GET /v1/pipelines/{pipeline_id}/stages"
READS = frozenset({STAGES_ROUTE, *(f"GET {path}" for path in FIELD_LISTS.values())})
DEFINITIONS_PER_REQUEST = 100
BOOKKEEPING = frozenset({"id", "created_at", "updated_at"})

is_id = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE).fullmatch
_is_property_name = re.compile(r"[a-z][a-z0-9_]*").fullmatch


class Pipelines:
    """The pipelines that a target's configuration names, and those that are given by id."""

    def __init__(self, options: Options) -> None:
        self._named = options.pipelines

    def find(self, resource: Resource) -> str | None:
        """Return the id of the pipeline that an opportunity is declared in; None for a name that is not known."""
        named = resource.fields.get("pipeline_id") or resource.fields.get("pipeline") or ""
        found = self._named.get(named, named)
        return found.lower() if is_id(found) else None

    def check(self, resources: Iterable[Resource]) -> list[Finding]:
        """Return what is wrong with the pipelines that opportunities are declared in."""
        return [
            Finding(resource, field(resource), self._explain(), resource.fields.get(field(resource)))
            for resource in resources
            if self.find(resource) is None
        ]

    def _explain(self) -> str:
        known = f"there is {', '.join(sorted(self._named))}" if self._named else "the target has no `pipelines:` at all"
        return f"crmctl.yaml gives no id to the pipeline {{value}}; {known}"


def field(resource: Resource) -> str:
    """Return the field that an opportunity names its pipeline in."""
    return "pipeline_id" if "pipeline_id" in resource.fields else "pipeline"


class Names:
    """Look names up, and keep what was found in `learned`."""

    def __init__(self, client: Client, search: Searching, options: Options, learned: dict[str, Any]) -> None:
        self._client = client
        self._search = search
        self._options = options
        self.pipelines = Pipelines(options)
        self.stages: dict[str, Mapping[str, str]] = learned.setdefault("stages", {})
        self._labels: dict[tuple[str, str], list[str]] = learned.setdefault("labels", {})

    async def resolve(self, desired: Mapping[str, Mapping[str, Resource]]) -> Resolution:
        """Look up everything that the resources name."""
        deals = desired.get("opportunity", {}).values()
        findings = self.pipelines.check(deals)
        by_pipeline: dict[str, list[Resource]] = {}
        for resource in deals:
            pipeline = self.pipelines.find(resource)
            if pipeline is not None:
                by_pipeline.setdefault(pipeline, []).append(resource)
        definitions: list[Definition] = []
        for kind in FIELD_ROUTES:
            await self._resolve_fields(Place(kind), desired.get(kind, {}).values(), findings, definitions)
        for pipeline, resources in by_pipeline.items():
            problem = await self._load_stages(pipeline)
            if problem:
                findings += [Finding(resource, field(resource), problem) for resource in resources]
                continue
            findings += filter(None, map(self._check_stage, resources))
            await self._resolve_fields(Place("opportunity", pipeline), resources, findings, definitions)
        return Resolution(findings, definitions)

    def fit_opportunity(self, resource: Resource) -> tuple[Resource, Sequence[tuple[str, str]]]:
        """Say pipeline and stage as reads do, e-mail addresses as keys; leave out what there is no place for."""
        pipeline = self.pipelines.find(resource) or ""
        fields: dict[str, Any] = {}
        missing: list[tuple[str, str]] = []
        for name, value in resource.fields.items():
            if name in {"pipeline", "pipeline_id"}:
                fields["pipeline_id"] = pipeline or value
            elif name == "stage":
                fields[name] = self.find_stage(pipeline, value) or value
            elif name in PEOPLE:
                fields[name] = _normalise_people(value)
            elif name.startswith(PREFIX):
                fields[name] = self._search.catalogue.say(Place("opportunity", pipeline), name, value)
            elif name in OPPORTUNITY_FIELDS:
                fields[name] = value
            elif not name.startswith("thena."):
                missing.append((name, "Octolane documents no such field"))
        return (resource if fields == resource.fields else resource._replace(fields=fields)), missing

    def find_stage(self, pipeline: str, named: Any) -> str | None:
        """Return the label of a stage, given by id or label, the latter in whatever case."""
        stages = self.stages.get(pipeline, {})
        if named in stages.values():
            return str(named)
        text = str(named).strip().casefold()
        alike = {label for stage, label in stages.items() if text in (stage.lower(), label.strip().casefold())}
        return alike.pop() if len(alike) == 1 else None

    def stage_id(self, pipeline: str, label: Any) -> str | None:
        """Return the id of the stage that has a label."""
        return next((stage for stage, known in self.stages.get(pipeline, {}).items() if known == label), None)

    async def define(self, definitions: Sequence[Definition]) -> None:
        """Make custom fields, and read what they are called now."""
        for kind in dict.fromkeys(definition.kind for definition in definitions):
            if kind not in FIELD_ROUTES:
                raise Unsupported(f"{kind}: Octolane documents no way to make custom fields of this kind")
            items = [self._describe(definition) for definition in definitions if definition.kind == kind]
            path = FIELD_ROUTES[kind]
            for start in range(0, len(items), DEFINITIONS_PER_REQUEST):
                part = items[start : start + DEFINITIONS_PER_REQUEST]
                await self._client.request("POST", path, route=f"POST {path}", json=part, repeatable=False)
            await self._load_fields(Place(kind))

    def _describe(self, definition: Definition) -> dict[str, Any]:
        """Return a definition as Octolane takes it."""
        item: dict[str, Any] = {"name": definition.slug, "attribute_type": definition.type}
        if _is_property_name(definition.slug):
            item["property_name"] = definition.slug
        if labels := self._labels.get((definition.kind, definition.slug)):
            options = [{"label": label, "value": label, "order": place} for place, label in enumerate(labels, 1)]
            item["metadata"] = {"select_options": options}
        return item

    def _check_stage(self, resource: Resource) -> Finding | None:
        """Return what is wrong with a declared stage."""
        named = resource.fields.get("stage")
        pipeline = self.pipelines.find(resource) or ""
        if named is None or self.find_stage(pipeline, named) is not None:
            return None
        labels = ", ".join(self.stages[pipeline].values()) or "none at all"
        return Finding(resource, "stage", f"the pipeline has no stage {{value}}; there is {labels}", named)

    async def _load_stages(self, pipeline: str) -> str:
        """Read the stages of a pipeline; return what is wrong with it, if something is."""
        if pipeline in self.stages:
            return ""
        path = f"/v1/pipelines/{pipeline}/stages"
        try:
            answer = await self._client.request("GET", path, route=STAGES_ROUTE, repeatable=True)
        except Rejected as error:
            there_is_none = error.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}
            return f"Octolane has no such pipeline: {pipeline}" if there_is_none else str(error)
        data = answer.get("data")
        stages = data.get("stages") if isinstance(data, dict) else None
        if not isinstance(stages, list):
            raise Ambiguous(f"{STAGES_ROUTE}: the answer is not a list of stages")
        self.stages[pipeline] = {
            stage["stage_id"]: stage["label"]
            for stage in stages
            if isinstance(stage, dict)
            and isinstance(stage.get("stage_id"), str)
            and isinstance(stage.get("label"), str)
        }
        return ""

    async def _resolve_fields(
        self, place: Place, resources: Iterable[Resource], findings: list[Finding], definitions: list[Definition]
    ) -> None:
        """Look up the custom fields that resources of one place declare."""
        resources = list(resources)
        names: set[str] = set()
        for resource in resources:
            names.update(resource.fields)
        paths = sorted(declared(names))
        if not paths:
            return
        await self._load_fields(place, paths)
        missing = [path for path in paths if self._search.catalogue.find(place, path) is None]
        if self._options.define and place.kind in FIELD_ROUTES:
            definitions += [self._plan(place, path, resources) for path in missing]
            missing = []
        findings += [
            Finding(resource, path, problem, resource.fields[path])
            for resource in resources
            for path in declared(resource.fields)
            if (problem := self._check_field(place, path, resource.fields[path], path in missing))
        ]

    def _check_field(self, place: Place, path: str, value: Any, missing: bool) -> str:  # noqa: FBT001  # one of two facts
        """Return what is wrong with one declared custom field."""
        catalogue = self._search.catalogue
        if missing:
            problem = catalogue.miss(place, path, KINDS[place.kind].plural)
            if self._options.define:
                problem += "; Octolane documents no way to make one here, so make it there"
            return problem
        custom = catalogue.find(place, path)
        return "" if custom is None else misfit(custom, value)

    def _plan(self, place: Place, path: str, resources: Iterable[Resource]) -> Definition:
        """Return the definition of a field that is declared and is not there."""
        slug = path.partition(".")[2]
        values = [resource.fields[path] for resource in resources if path in resource.fields]
        kind = suggest_type(values)
        if kind == "multi_select":
            self._labels[place.kind, slug] = sorted({str(item) for value in values for item in value or ()})
        self._search.catalogue.planned.setdefault(place, {})[slug] = CustomField(slug, slug, slug, kind)
        return Definition(place.kind, slug, kind)

    async def _load_fields(self, place: Place, paths: Sequence[str] = ()) -> None:
        """Read the definitions of one place: they come with any search; accounts have a list of them as well."""
        chosen = {"pipeline_id": place.pipeline} if place.pipeline else {}
        catalogue = self._search.catalogue
        if not paths or any(catalogue.find(place, path) is None for path in paths):
            await self._search.find(place.kind, chosen, (PREFIX,), limit=1)
        unknown = any(catalogue.find(place, path) is None for path in paths)
        if place.kind in FIELD_LISTS and unknown:
            path = FIELD_LISTS[place.kind]
            try:
                answer = await self._client.request("GET", path, route=f"GET {path}", repeatable=True)
            except (Rejected, Unsupported):  # nothing depends on it: what is unknown stays so
                return
            catalogue.learn_list(place, answer.get("data"), FIELDS[place.kind] | BOOKKEEPING)


def _normalise_people(value: Any) -> Any:
    """Return e-mail addresses as the keys of the contacts they are."""
    if isinstance(value, list):
        return [_normalise_people(item) for item in value]
    return (normalise("contact", value) or value) if isinstance(value, str) else value
