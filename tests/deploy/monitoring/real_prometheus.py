"""A Prometheus of one test: real, on a free port, with a directory of its own."""
import http.server
import json
import pathlib
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from free_port import free_port

READY_SECONDS = 30


class Prometheus:
    """Reads `targets`, a list of ("host:port", labels), each second, and judges the rules as often."""

    def __init__(self, directory, rules, targets):
        self.url = f"http://127.0.0.1:{free_port()}"
        jobs = [{"targets": [address], "labels": labels} for address, labels in targets]
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [{"job_name": "postern", "honor_labels": True, "static_configs": jobs}],
        }
        file = directory / "prometheus.yml"  # JSON is YAML too
        file.write_text(json.dumps(configuration), encoding="utf-8")
        self.log = directory / "prometheus.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={directory / 'tsdb'}",
                 f"--web.listen-address={self.url.removeprefix('http://')}"], stdout=log, stderr=log)

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Prometheus did not start:\n{self.log.read_text(encoding='utf-8')}") from None
            time.sleep(0.05)

    def ask(self, query):
        """The series that `query` gives now. ValueError: it is none."""
        form = urllib.parse.urlencode({"query": query}).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query", data=form, timeout=30) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as refused:
            raise ValueError(f"{json.load(refused)['error']}: {query}") from None

    def wait_for(self, query, seconds):
        """The first series that `query` gives, or an empty list if there is none within `seconds`."""
        deadline = time.monotonic() + seconds
        while not (found := self.ask(query)) and time.monotonic() < deadline:
            time.sleep(0.25)
        return found

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=30)


class PlayedExporter:
    """Serves a file of metrics as they are: what a cluster's own exporters would say."""

    def __init__(self, text):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


def read_json(path):
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
