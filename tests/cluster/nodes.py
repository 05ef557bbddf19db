"""Two nodes of a Kubernetes cluster on one machine: each a network and a mount namespace with a container runtime, a kubelet and a kube-proxy of
its own, joined by a bridge. Runs where run.py has put us: the namespaces around these are private already."""
import json
import pathlib
import shutil
import signal
import subprocess

import private_kernel
from started import run

BRIDGE, BRIDGE_ADDRESS = "nodes", "10.240.0.1"
POD_ADDRESSES = "10.244.0.0/16"
SERVICE_ADDRESSES = "10.96.0.0/16"
READY_SECONDS = 120
PAUSE_IMAGE = "localhost/pause:t"
GROUP = private_kernel.GROUP
# The first makes Services' addresses pods' for the load: it is left alone.
OF_FAULTS = private_kernel.NODES[1]


class Node:
    """`name` is one of private_kernel.NODES. `started` ends all of it."""

    def __init__(self, number, directory, started, paths, api_server):
        self.name = private_kernel.NODES[number - 1]
        self.number, self.started, self.paths, self.api_server = number, started, paths, api_server
        self.directory = directory / self.name
        self.directory.mkdir(parents=True)
        self.address = f"10.240.0.{10 + number}"
        self.pod_addresses = f"10.244.{number}.0/24"
        self.link = f"to-{self.name}"
        self.containerd_socket = self.directory / "containerd.sock"
        self.holder = self._hold_namespaces()
        self._connect()

    def inside(self, *command):
        """The words that run a command in this node."""
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-n", *(str(word) for word in command)]

    def import_image(self, archive):
        run(*self.inside("ctr", "--address", self.containerd_socket, "-n", "k8s.io", "images", "import", archive))

    def start_runtime(self):
        network = self.directory / "network"
        network.mkdir()
        (network / "10-bridge.conflist").write_text(json.dumps(self._network()), encoding="utf-8")
        config = self.directory / "containerd.toml"
        config.write_text(self._containerd_config(network), encoding="utf-8")
        process = self.started.start(f"{self.name}-containerd", self.inside("/usr/bin/containerd", "--config", config))

        def answers():
            asked = self.inside("ctr", "--address", self.containerd_socket, "version")
            return subprocess.run(asked, check=False, capture_output=True).returncode == 0
        self.started.await_ready(f"{self.name}-containerd", process, answers, READY_SECONDS)

    def start_kubelet(self):
        config = self.directory / "kubelet.json"
        config.write_text(json.dumps(self._kubelet_config()), encoding="utf-8")
        process = self.started.start(f"{self.name}-kubelet", self.inside(
            self.paths["kubelet"], "--config", config, "--kubeconfig", self.api_server.kubeconfig, "--hostname-override", self.name,
            "--node-ip", self.address, "--root-dir", self.directory / "kubelet", "--cert-dir", self.directory / "certificates"))
        self.started.start(f"{self.name}-kube-proxy", self.inside(
            self.paths["kube-proxy"], "--kubeconfig", self.api_server.kubeconfig, "--hostname-override", self.name,
            "--proxy-mode=iptables", "--conntrack-max-per-core=0", "--conntrack-min=0", f"--cluster-cidr={POD_ADDRESSES}",
            f"--bind-address={self.address}"))

        def ready():
            said = self.api_server.kubectl_done("get", "node", self.name, "-o",
                                                "jsonpath={.status.conditions[?(@.type=='Ready')].status}")
            return said.stdout == "True"
        self.started.await_ready(f"{self.name}-kubelet", process, ready, READY_SECONDS)

    def cut(self):
        """No packet goes to this node or comes from it, and nobody is told."""
        run("ip", "link", "set", self.link, "down")

    def mend(self):
        run("ip", "link", "set", self.link, "up")

    def _hold_namespaces(self):
        """A process that does nothing; what is unshared lives as long as it does."""
        private = " && ".join([
            "mount -t tmpfs tmpfs /run", "mkdir -p /var/lib/cni", f"mount --bind {self._made('cni')} /var/lib/cni",
            f"mount --bind {self._made('log')} /var/log", "ip link set lo up", "exec sleep infinity"])
        process = self.started.start(f"{self.name}-namespaces", [
            "unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", private])
        self.started.await_ready(f"{self.name}-namespaces", process,
                                 lambda: pathlib.Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8") == "sleep\n", READY_SECONDS)
        return process

    def _made(self, name):
        path = self.directory / name
        path.mkdir()
        return path

    def _connect(self):
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        run("ip", "link", "set", self.link, "master", BRIDGE, "up")
        run("ip", "route", "add", self.pod_addresses, "via", self.address)
        for command in (f"ip address add {self.address}/24 dev eth0", "ip link set eth0 up", f"ip route add default via {BRIDGE_ADDRESS}",
                        "sysctl -q -w net.ipv4.ip_forward=1"):
            run(*self.inside(*command.split()))

    def know(self, other):
        """How to reach the other's pods."""
        run(*self.inside("ip", "route", "add", other.pod_addresses, "via", other.address))

    def _network(self):
        addresses = {"type": "host-local", "ranges": [[{"subnet": self.pod_addresses}]], "routes": [{"dst": "0.0.0.0/0"}]}
        return {"cniVersion": "0.4.0", "name": "pods", "plugins": [
            {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}}]}

    def _containerd_config(self, network):
        return f"""\
version = 2
root = "{self.directory}/containerd"
state = "{self.directory}/containerd-state"
oom_score = 0
[grpc]
address = "{self.containerd_socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{network}"
"""

    def _kubelet_config(self):
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            # Nobody but these nodes is in this network.
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}}, "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": f"unix://{self.containerd_socket}",
            "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{GROUP}/{self.name}", "enforceNodeAllocatable": [], "oomScoreAdj": 0,
            "failSwapOn": False, "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100, "podLogsDir": str(self._made("pod-logs")),
            "clusterDomain": "cluster.local", "clusterDNS": [BRIDGE_ADDRESS],
        }


class Nodes:
    """Both, with what makes a cluster of them and the API server: its controllers, its scheduler, and DNS for the pods."""

    def __init__(self, directory, started, paths, api_server):
        self.api_server = api_server
        self.all = [Node(number, directory, started, paths, api_server) for number in (1, 2)]
        first, second = self.all
        first.know(second)
        second.know(first)
        # A Service's address is made a pod's by a node; the first is never drained.
        run("ip", "route", "add", SERVICE_ADDRESSES, "via", first.address)
        kubeconfig = api_server.kubeconfig
        started.start("kube-controller-manager", [
            paths["kube-controller-manager"], "--kubeconfig", kubeconfig, "--leader-elect=false", "--bind-address=127.0.0.1",
            f"--service-account-private-key-file={api_server.directory / 'service-accounts.key'}",
            # Autoscalers look often, and at pods that have just come too.
            "--horizontal-pod-autoscaler-sync-period=2s", "--horizontal-pod-autoscaler-cpu-initialization-period=1s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=1s",
            f"--root-ca-file={api_server.certificate}"])
        started.start("kube-scheduler", [
            paths["kube-scheduler"], "--kubeconfig", kubeconfig, f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1"])
        corefile = directory / "Corefile"
        corefile.write_text(f".:53 {{\n bind {BRIDGE_ADDRESS}\n errors\n kubernetes cluster.local {{\n  kubeconfig {kubeconfig} test\n }}\n}}\n",
                            encoding="utf-8")
        started.start("coredns", [paths["coredns"], "-conf", corefile])
        for node in self.all:
            node.start_runtime()

    def start(self, archives):
        """With the images of those archives."""
        for node in self.all:
            for archive in archives:
                node.import_image(archive)
            node.start_kubelet()

    def of(self, name):
        return next(node for node in self.all if node.name == name)

    def process_of(self, pod):
        """The id of a pod's first container's process: all namespaces of processes here are ours."""
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        node = self.of(pod["spec"]["nodeName"])
        listed = run(*node.inside("ctr", "--address", node.containerd_socket, "-n", "k8s.io", "tasks", "list"))
        return next(int(line.split()[1]) for line in listed.splitlines() if line.startswith(container))


def make_bridge():
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{BRIDGE_ADDRESS}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
