"""Shows a folder on localhost: ``python make/serve.py _build/html 8000``."""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


def open_server(folder: str, port: int) -> ThreadingHTTPServer:
    """Listen on ``port``, or on the next of ten that is free."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    for candidate in range(port, port + 10):
        try:
            return ThreadingHTTPServer(("127.0.0.1", candidate), handler)
        except OSError:
            continue
    raise SystemExit(f"Ports {port} to {port + 9} are in use; choose another: make serve PORT=9000")


if __name__ == "__main__":
    server = open_server(sys.argv[1], int(sys.argv[2]))
    print(f"The book: http://localhost:{server.server_port}/ (Ctrl+C stops)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
