"""/_sim: scripted faults, the request log, and state, for tests and demonstrations. Loopback only."""

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .. import actions, scenario
from ..errors import VenueError
from ..scenario import ScenarioError
from ..simulator import Simulator

Control = Callable[[Simulator, Request, dict[str, Any]], Any]


class Missing(Exception):
    """What the path names is not there."""


def control(path: str, **handlers: Control) -> Route:
    async def endpoint(request: Request) -> Response:
        handler = handlers[request.method.lower()]
        return _run(handler, request, await request.body())

    return Route(path, endpoint, methods=[method.upper() for method in handlers])


def _run(handler: Control, request: Request, content: bytes) -> Response:
    simulator: Simulator = request.app.state.simulator
    try:
        document = json.loads(content or b"{}")
        if not isinstance(document, dict):
            raise ValueError("the body must be a JSON object")
        result, status = handler(simulator, request, document), 200
    except Missing as error:
        result, status = {"error": str(error)}, 404
    except VenueError as error:
        result, status = error.body, error.status
    except (ValueError, KeyError, TypeError, ArithmeticError, ScenarioError) as error:
        result, status = {"error": str(error) or repr(error)}, 400
    simulator.commit()
    return Response(json.dumps(result), status, media_type="application/json")


def add_fault(simulator: Simulator, request: Request, document: dict[str, Any]) -> Any:
    return simulator.faults.add(document).to_json()


def list_faults(simulator: Simulator, request: Request, document: dict[str, Any]) -> Any:
    return [fault.to_json() for fault in simulator.faults.all()]


def clear_faults(simulator: Simulator, request: Request, document: dict[str, Any]) -> Any:
    simulator.faults.remove()
    return {}


def remove_fault(simulator: Simulator, request: Request, document: dict[str, Any]) -> Any:
    if not simulator.faults.remove(request.path_params["fault_id"]):
        raise Missing("there is no fault of this id")
    return {}


def list_requests(simulator: Simulator, request: Request, document: dict[str, Any]) -> Any:
    wanted = dict(request.query_params)
    return [entry for entry in simulator.faults.requests if all(entry.get(k) == v for k, v in wanted.items())]


def clear_requests(simulator: Simulator, request: Request, document: dict[str, Any]) -> Any:
    simulator.faults.requests.clear()
    return {}


def get_state(simulator: Simulator, request: Request, document: dict[str, Any]) -> Any:
    return scenario.dump(simulator)


def load_state(simulator: Simulator, request: Request, document: dict[str, Any]) -> Any:
    scenario.load(simulator, document)
    return {"accounts": list(document.get("accounts") or {})}


def act(simulator: Simulator, request: Request, document: dict[str, Any]) -> Any:
    action = actions.ACTIONS.get(request.path_params["action"])
    if action is None:
        raise Missing(f"actions are: {', '.join(sorted(actions.ACTIONS))}")
    return action(simulator, document)


def _named(name: str) -> Control:
    return lambda simulator, request, document: actions.ACTIONS[name](simulator, document)


ROUTES: list[Route] = [
    control("/_sim/faults", get=list_faults, post=add_fault, delete=clear_faults),
    control("/_sim/faults/{fault_id:int}", delete=remove_fault),
    control("/_sim/requests", get=list_requests, delete=clear_requests),
    control("/_sim/state", get=get_state, post=load_state),
    control("/_sim/price", post=_named("price")),
    control("/_sim/actions/{action}", post=act),
]
