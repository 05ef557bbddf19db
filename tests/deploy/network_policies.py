"""Who may speak to whom under a set of NetworkPolicies: the rules of the Kubernetes documentation, on paper."""
import dataclasses
import ipaddress


@dataclasses.dataclass(frozen=True)
class Party:
    """A pod, by its namespace and labels; or somebody outside of the cluster, by an address alone."""
    name: str
    namespace: str = ""
    labels: tuple = ()
    address: str = ""


def pod(name, namespace, **labels):
    return Party(name, namespace, tuple(sorted(labels.items())))


def matches(selector, labels):
    for expression in selector.get("matchExpressions", []):
        has, value = expression["key"] in labels, labels.get(expression["key"])
        holds = {"In": has and value in expression.get("values", []), "NotIn": value not in expression.get("values", []),
                 "Exists": has, "DoesNotExist": not has}[expression["operator"]]
        if not holds:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def namespace_labels(party):
    return {"kubernetes.io/metadata.name": party.namespace}


class Network:
    def __init__(self, policies):
        self.policies = policies

    def lets(self, source, target, protocol, port):
        return self._side("Egress", source, target, protocol, port) and self._side("Ingress", target, source, protocol, port)

    def _side(self, direction, subject, peer, protocol, port):
        """Whether `subject`'s policies of that direction let it speak with `peer`; without any they do."""
        binding = [policy for policy in self.policies if self._binds(policy, direction, subject)]
        if not binding:
            return True
        rules = [(rule, policy) for policy in binding for rule in policy["spec"].get(direction.lower(), [])]
        key = "to" if direction == "Egress" else "from"
        return any(self._peer_fits(rule.get(key), policy, peer) and self._port_fits(rule.get("ports"), protocol, port)
                   for rule, policy in rules)

    def _binds(self, policy, direction, subject):
        return (not subject.address and subject.namespace == policy["metadata"]["namespace"] and direction in policy["spec"]["policyTypes"]
                and matches(policy["spec"]["podSelector"], dict(subject.labels)))

    def _peer_fits(self, peers, policy, party):
        return not peers or any(self._is(peer, policy, party) for peer in peers)

    def _is(self, peer, policy, party):
        if "ipBlock" in peer:
            return bool(party.address) and in_block(peer["ipBlock"], ipaddress.ip_address(party.address))
        if party.address:
            return False
        same = party.namespace == policy["metadata"]["namespace"]
        namespace = matches(peer["namespaceSelector"], namespace_labels(party)) if "namespaceSelector" in peer else same
        return namespace and matches(peer.get("podSelector", {}), dict(party.labels))

    def _port_fits(self, ports, protocol, port):
        return not ports or any(entry.get("protocol", "TCP") == protocol and entry["port"] <= port <= entry.get("endPort", entry["port"])
                                for entry in ports)


def in_block(block, address):
    def inside(network):
        return address.version == ipaddress.ip_network(network).version and address in ipaddress.ip_network(network)
    return inside(block["cidr"]) and not any(inside(network) for network in block.get("except", []))
