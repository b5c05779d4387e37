"""The batch interfaces of both vendors. Every line is answered like a request of its own: scripts apply to it, too.

A batch is in progress when it is made and finished when it is next asked for. Results come in reverse order, since
neither vendor promises any.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import HTTP
from typing import TYPE_CHECKING, Any

from icl.fake import anthropic, openai
from icl.fake.http import Reply, Request, json_reply

if TYPE_CHECKING:
    from icl.fake.service import Service

_DAY_ONE, _DAY_TWO = "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file, uploaded or made by a batch."""

    id: str
    name: str
    content: bytes
    purpose: str

    def describe(self) -> dict[str, Any]:
        """The file as OpenAI describes it."""
        head = {"id": self.id, "object": "file", "created_at": 1, "status": "processed"}
        return {**head, "bytes": len(self.content), "filename": self.name, "purpose": self.purpose}


def upload(service: Service, request: Request) -> Reply:
    """POST /v1/files."""
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    form = message_from_bytes(head + request.content, policy=HTTP)
    fields = {part.get_param("name", header="content-disposition"): part for part in form.walk()}
    if not {"file", "purpose"} <= set(fields):
        return openai.error(400, "a form with the fields file and purpose is needed")
    name = fields["file"].get_filename() or "upload"
    content, purpose = (_payload(fields[field]) for field in ("file", "purpose"))
    return json_reply(200, _keep(service, name, content, purpose.decode()).describe())


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)  # parts of a form are never multipart themselves
    return payload


def file_content(service: Service, request: Request, file: str) -> Reply:
    """GET /v1/files/{id}/content."""
    if file not in service.files:
        return openai.error(404, f"No such File object: {file}")
    return Reply(200, service.files[file].content, {"content-type": "application/octet-stream"})


def file_info(service: Service, request: Request, file: str) -> Reply:
    """GET /v1/files/{id}."""
    if file not in service.files:
        return openai.error(404, f"No such File object: {file}")
    return json_reply(200, service.files[file].describe())


def create_openai(service: Service, request: Request) -> Reply:
    """POST /v1/batches."""
    file = service.files.get(request.body["input_file_id"])
    if file is None:
        return openai.error(404, f"No such File object: {request.body['input_file_id']}")
    rows = [_answered_line(service, request, line) for line in reversed(file.content.decode().splitlines())]
    good = [row for row in rows if row["response"]["status_code"] == 200]
    bad = [row for row in rows if row["response"]["status_code"] != 200]
    batch = {
        "id": f"batch_{service.number()}",
        "object": "batch",
        "endpoint": request.body["endpoint"],
        "errors": None,
        "input_file_id": file.id,
        "completion_window": request.body["completion_window"],
        "metadata": request.body.get("metadata"),
        "created_at": 1,
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
    }
    service.batches[batch["id"]] = {
        **batch,
        "status": "completed",
        "completed_at": 1,
        "output_file_id": _keep_rows(service, "output.jsonl", good),
        "error_file_id": _keep_rows(service, "error.jsonl", bad),
        "request_counts": {"total": len(rows), "completed": len(good), "failed": len(bad)},
    }
    return json_reply(200, batch)


def _answered_line(service: Service, request: Request, line: str) -> dict[str, Any]:
    asked = json.loads(line)
    reply = service.respond(Request("POST", asked["url"], request.headers, asked["body"])).reply
    number = service.number()
    response = {"status_code": reply.status, "request_id": f"req_{number}", "body": reply.body}
    return {"id": f"br_{number}", "custom_id": asked["custom_id"], "response": response, "error": None}


def retrieve_openai(service: Service, request: Request, batch: str) -> Reply:
    """GET /v1/batches/{id}."""
    if batch not in service.batches:
        return openai.error(404, f"No batch found with id '{batch}'.")
    return json_reply(200, service.batches[batch])


def create_anthropic(service: Service, request: Request) -> Reply:
    """POST /v1/messages/batches."""
    rows = [_answered_request(service, request, asked) for asked in reversed(request.body["requests"])]
    succeeded = sum(row["result"]["type"] == "succeeded" for row in rows)
    name = f"msgbatch_{service.number()}"
    counts = {"processing": len(rows), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    batch = {
        "id": name,
        "type": "message_batch",
        "archived_at": None,
        "cancel_initiated_at": None,
        "created_at": _DAY_ONE,
        "expires_at": _DAY_TWO,
        "processing_status": "in_progress",
        "ended_at": None,
        "request_counts": counts,
        "results_url": None,
    }
    service.files[name] = StoredFile(name, f"{name}.jsonl", _jsonl(rows), "batch_output")
    service.batches[name] = {
        **batch,
        "processing_status": "ended",
        "ended_at": _DAY_ONE,
        "request_counts": {**counts, "processing": 0, "succeeded": succeeded, "errored": len(rows) - succeeded},
        "results_url": f"http://{request.headers.get('host', '')}/v1/messages/batches/{name}/results",
    }
    return json_reply(200, batch)


def _answered_request(service: Service, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
    reply = service.respond(Request("POST", "/v1/messages", request.headers, asked["params"])).reply
    if reply.status == 200:
        result = {"type": "succeeded", "message": reply.body}
    else:
        result = {"type": "errored", "error": reply.body}
    return {"custom_id": asked["custom_id"], "result": result}


def retrieve_anthropic(service: Service, request: Request, batch: str) -> Reply:
    """GET /v1/messages/batches/{id}."""
    if batch not in service.batches:
        return anthropic.error(404, f"No such batch: {batch}")
    return json_reply(200, service.batches[batch])


def results_anthropic(service: Service, request: Request, batch: str) -> Reply:
    """GET /v1/messages/batches/{id}/results."""
    if batch not in service.files:
        return anthropic.error(404, f"No such batch: {batch}")
    return Reply(200, service.files[batch].content, {"content-type": "application/x-jsonl"})


def _keep(service: Service, name: str, content: bytes, purpose: str) -> StoredFile:
    file = StoredFile(f"file-{service.number()}", name, content, purpose)
    service.files[file.id] = file
    return file


def _keep_rows(service: Service, name: str, rows: list[dict[str, Any]]) -> str | None:
    """The id of the file that holds the rows; none where there are none."""
    return _keep(service, name, _jsonl(rows), "batch_output").id if rows else None


def _jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
