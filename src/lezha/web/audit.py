from litestar import Router

router = Router(path="/api/v1/audit", route_handlers=[])
