"""The id of a request, which its answer, its log and its operation carry. Owns its form and its headers."""

import uuid


def new_request_id() -> str:
    return f"req-{uuid.uuid4()}"


def request_id_headers(request_id: str) -> dict[str, str]:
    return {"x-openstack-request-id": request_id, "x-compute-request-id": request_id}
