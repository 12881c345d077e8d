"""Where each documented command is run. By its program; what that does not fit stands in a table of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tests.documented import windows
from tests.documented.commands import Command, Prompt, every

from smbferry_cli.verbs.arguments import IN_CLUSTER


class Place(StrEnum):
    """Which test runs a command."""

    UNIT = "tests/unit/docs/test_documented_commands.py"
    TOOLS = "tests/interop/docs/test_documented_commands.py: a client of the domain"
    DOMAIN = "tests/interop/docs/test_documented_commands.py: the domain controller"
    WINDOWS = "tests/interop/docs/test_documented_commands.py: what does the same on Samba"
    CLUSTER = "tests/cluster/test_documented_commands.py"
    PLAYGROUND = "tests/playground/test_playground.py"
    ELSEWHERE = "not run as it stands"


PLAYGROUND = "examples/playground/README.md"
"""Its commands follow each other in a namespace of their own."""


PROGRAMS: dict[str, Place] = {
    **dict.fromkeys(["make", "smbferry --version", "smbferry init", "smbferry import", "smbferry report"], Place.UNIT),
    "smbferry completion": Place.UNIT,
    **dict.fromkeys([f"smbferry {verb}" for verb in sorted(IN_CLUSTER)], Place.CLUSTER),
    **dict.fromkeys(
        ["smbferry check", "smbferry run", "smbferry survey", "smbclient", "smbcacls", "shred"], Place.TOOLS
    ),
    **dict.fromkeys(["dig", "kinit", "klist", "kvno", "nc", "ss", "zcat"], Place.TOOLS),
    **dict.fromkeys(["samba-tool", "ldbsearch", "testparm", "smbstatus", "wbinfo", "find"], Place.DOMAIN),
    **dict.fromkeys(["getprinc", "ktadd", "addent", "wkt"], Place.DOMAIN),
    **dict.fromkeys(["kubectl", "helm"], Place.CLUSTER),
    **dict.fromkeys(windows.PROGRAMS, Place.WINDOWS),
}


@dataclass(frozen=True)
class Elsewhere:
    """Why a command is not run as it stands, and the file in which the same thing is done for real."""

    why: str
    done_by: str


_NODE = Elsewhere("needs a machine with its own clock, journal or disks", "tests/interop/agent/test_clock.py")
_MEMBER = Elsewhere(
    "needs a Samba member server; the lab has a domain controller", "tests/interop/agent/test_server_key.py"
)
_AWS = Elsewhere("needs an account with AWS; what it prints is read", "tests/unit/cli/test_import_datasync.py")
_INSTALL = Elsewhere("changes the machine; the agent's image is built by the same steps", "agent_image/Dockerfile")
_ONE_CONTROLLER = Elsewhere(
    "the lab has one domain controller, which is told all it must know", "lab/domain/provision.py"
)
_LAB_IMAGE = Elsewhere("the lab builds the image and loads it", "tests/playground/test_playground.py")
_LAB = Elsewhere("every test of the whole starts and ends the lab", "lab/test_all.py")

ELSEWHERE: dict[str, Elsewhere] = {
    "chronyc tracking": _NODE,
    "journalctl -u samba-ad-dc -u krb5-kdc --since -10min": _NODE,
    "journalctl -u smbd --since -30min": _NODE,
    "chronyc makestep": _NODE,
    "smartctl -a": _NODE,
    "zpool status": _NODE,
    "net ads testjoin; net ads keytab list": _MEMBER,
    "net ads changetrustpw": _MEMBER,
    "net ads keytab create": _MEMBER,
    "net rpc rights grant 'CORP\\svc-dst' SeRestorePrivilege": Elsewhere(
        "the lab's writer has the right as a Backup Operator", "tests/interop/engine/test_options_metadata.py"
    ),
    "samba-tool drs replicate dc2 dc1 DC=corp,DC=example,DC=com": _ONE_CONTROLLER,
    "samba-tool drs showrepl": _ONE_CONTROLLER,
    "grep -i svc-src /var/log/samba/log.smbd": Elsewhere(
        "the lab's Samba writes its log to standard output", "lab/domain/entry"
    ),
    "samba_dnsupdate --verbose": _ONE_CONTROLLER,
    "samba-tool dns delete dc1 0.0.10.in-addr.arpa 20 PTR old.corp.example.com": _ONE_CONTROLLER,
    'aws datasync describe-task --task-arn "$TASK" > task.json': _AWS,
    'aws datasync describe-location-smb --location-arn "$SOURCE" > source.json': _AWS,
    'aws datasync describe-location-smb --location-arn "$DESTINATION" > destination.json': _AWS,
    "sudo apt-get install gcc libkrb5-dev python3-dev python3-venv": _INSTALL,
    "python3 -m venv ~/.venvs/smbferry": _INSTALL,
    "~/.venvs/smbferry/bin/pip install '.[agent,cli,kerberos]'": _INSTALL,
    "~/.venvs/smbferry/bin/pip install '.[kubectl]'": _INSTALL,
    "source <(smbferry completion bash)": Elsewhere("changes the reader's shell", "tests/unit/cli/test_completion.py"),
    "export PATH=~/.venvs/smbferry/bin:$PATH": _INSTALL,
    "echo $?": Elsewhere("shows how the command before it ended", "tests/interop/docs/test_documented_commands.py"),
    "lab/lab up": _LAB,
    'eval "$(lab/lab env)"': Elsewhere("the tests themselves do it", "lab/support/environment.py"),
    "lab/lab tools -- dig +short dc1.corp.example.com": _LAB,
    "lab/lab tools -- python3 -m lab.bench.beside": Elsewhere(
        "takes ten minutes and writes docs/performance.md", "tests/unit/bench/test_beside.py"
    ),
    "lab/lab status; lab/lab logs domain; lab/lab down": _LAB,
    "docker build -t smbferry-lab-dc lab/domain": _LAB_IMAGE,
    "kind load docker-image smbferry-lab-dc": _LAB_IMAGE,
    "tcpdump -ni any -w smb.pcap port 445": Elsewhere(
        "needs root on a node; what goes over the wire is looked at", "tests/interop/engine/witness.py"
    ),
    "kubectl debug node/NODE -it --image=busybox -- date -u": Elsewhere(
        "needs an image of a registry and a privileged pod", "tests/interop/agent/test_clock.py"
    ),
}

# Run in another form, for the reason beside it.
RUN_AS: dict[str, str] = {
    # The release is there already and other tests use it: what would be installed is given to the API server to check.
    "helm install smbferry charts/smbferry --namespace smbferry-system --create-namespace --wait":
        "helm upgrade --install smbferry charts/smbferry --namespace smbferry-system --create-namespace --wait"
        " --dry-run=server",
    "kubectl apply --server-side -k charts/kustomize":
        "kubectl apply --server-side -k charts/kustomize --dry-run=server --force-conflicts",
    # The cluster has no Prometheus Operator, whose kinds these are.
    "helm upgrade smbferry charts/smbferry --namespace smbferry-system --reuse-values \\\n"
    "    --set metrics.serviceMonitor.enabled=true --set metrics.prometheusRule.enabled=true \\\n"
    "    --set metrics.dashboard.enabled=true":
        "helm template smbferry charts/smbferry --namespace smbferry-system --kube-version 1.34"
        " --set metrics.serviceMonitor.enabled=true --set metrics.prometheusRule.enabled=true"
        " --set metrics.dashboard.enabled=true",
    # Two releases are in the cluster in tests/cluster/test_classes.py only.
    "helm install branch charts/smbferry --namespace branch-system --create-namespace \\\n"
    "    --set className=branch --set crds.install=false":
        "helm template branch charts/smbferry --namespace branch-system --kube-version 1.34"
        " --set className=branch --set crds.install=false",
    # The release has no sink: what would be installed is rendered, and tests/cluster/test_cloud_events.py installs it.
    "helm upgrade smbferry charts/smbferry --namespace smbferry-system --reuse-values \\\n"
    "    --set events.sink=https://events.example.com/smbferry --set events.source=cluster-a \\\n"
    "    --set events.signingSecret=smbferry-events":
        "helm template smbferry charts/smbferry --namespace smbferry-system --kube-version 1.34"
        " --set events.sink=https://events.example.com/smbferry --set events.source=cluster-a"
        " --set events.signingSecret=smbferry-events",
    "kubectl -n smbferry-system create secret generic smbferry-events"
    ' --from-literal=key="whsec_$(openssl rand -base64 32)"':
        "kubectl -n smbferry-system create secret generic smbferry-events --dry-run=client -o name"
        ' --from-literal=key="whsec_$(openssl rand -base64 32)"',
    # One transfer into a folder is enough: these are given to the API server to check.
    "kubectl apply -f migration/": "kubectl apply -f migration/ --dry-run=server",
    "kubectl apply -f transfer.yaml": "kubectl apply -f transfer.yaml --dry-run=server",
    # The other commands still need it; tests/cluster/test_deletion.py deletes tasks.
    "kubectl delete transfertask/finance": "kubectl delete transfertask/finance --dry-run=server",
    # Nobody has to see the last pod go.
    "kubectl delete -k examples/playground": "kubectl delete -k examples/playground --wait=false",
    # It is there already.
    "kubectl create configmap corp-krb5 --from-file=krb5.conf=krb5.conf":
        "kubectl create configmap corp-krb5-2 --from-file=krb5.conf=krb5.conf",
    # What is in the file is shown above it, and no task of the tests has it.
    "kubectl create configmap corp-sids --from-file=sids=sids.txt":
        "kubectl create configmap corp-sids --from-literal=sids=S-1-5-18 --dry-run=client -o name",
    # Images of a registry, and a terminal.
    "kubectl run look --rm -it --image=nicolaka/netshoot --labels=app.kubernetes.io/name=smbferry-agent -- bash":
        "kubectl run look --image=nicolaka/netshoot --labels=app.kubernetes.io/name=smbferry-agent"
        " --dry-run=client -o name -- bash",
    # kubeseal is not here: what it is given is.
    "kubectl create secret generic svc-src-keytab --from-file=keytab=svc-src.keytab --dry-run=client -o yaml |\n"
    "    kubeseal --format yaml > svc-src-keytab.yaml":
        "kubectl create secret generic svc-src-keytab --from-file=keytab=svc-src.keytab --dry-run=client -o yaml |\n"
        "    grep 'kind: Secret'",
    # A pod of this namespace has these variables.
    'nc -vz "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT"':
        "KUBERNETES_SERVICE_HOST=dc1.corp.example.com KUBERNETES_SERVICE_PORT=445;"
        ' nc -vz "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT"',
    # The pods of a check are removed after five minutes: it may have been longer ago.
    "smbferry logs identity/svc-src --tail 20":
        "smbferry recheck identity/svc-src --wait && smbferry logs identity/svc-src --tail 20",
    "smbferry logs identity/IDENTITY":
        "smbferry recheck identity/IDENTITY --wait && smbferry logs identity/IDENTITY",
    # iostat is of a machine's own disks.
    "smbstatus -p; iostat -x 2 3": "smbstatus -p",
    # The password of nobody at a terminal.
    "samba-tool user setpassword svc-src": "samba-tool user setpassword svc-src --random-password",
}  # fmt: skip

# Names of commands in running text, not commands to be typed as they stand.
MENTIONED = frozenset(
    {
        "klist -kt",
        "kubectl apply",
        "kubectl create",
        "kubectl diff",
        "kubectl explain",
        "kubectl smbferry",
        "lab/lab clean",
        "lab/lab down",
        "lab/lab tools -- …",
        "python3 -m lab.bench --help",
        "python3 -m lab.bench.beside",
        "samba-tool domain exportkeytab",
        "samba-tool spn add",
        "samba-tool spn delete",
        "samba-tool user enable|unlock|setexpiry svc-src",
        "smbferry approve",
        "smbferry check",
        "smbferry import datasync",
        "smbferry recheck",
        "smbferry report",
        "smbferry run",
        "smbferry suspend",
        "smbferry survey",
        "smbferry trigger",
        "smbferry watch",
    }
)

# They go on until the reader ends them, who has seen a run by then.
FOLLOWED = frozenset({"kubectl get transferrun --watch"})

# Commands that end with another exit code than 0, because they find nothing, or find what they are asked for.
ENDS_WITH: dict[str, int] = {
    "smbferry check examples/basic --keytab svc-src-keytab=old.keytab --keytab svc-dst-keytab=svc-dst.keytab": 11,
    # No run of this task waits for approval; tests/cluster/test_approval.py approves plans.
    "smbferry approve nightly": 10,
    "smbferry approve nightly --show": 10,
    "smbferry approve nightly --show -o json": 10,
    "smbferry approve nightly --plan 7xq2mhd6ifr3k5tu4cwbznlyeaogvp2s": 10,
    "smbferry approve run/RUN": 10,
    "smbferry approve run/RUN --show": 10,
    "smbstatus -L | grep report.xlsx": 1,
    "smbferry logs RUN | grep traceback": 1,
    "kubectl get configmap corp-krb5 -o jsonpath='{.data.krb5\\.conf}' | grep -nE 'module|plugin|_exec|_program'": 1,
    "kubectl get configmap corp-krb5 -o jsonpath='{.data.krb5\\.conf}' | grep -n 'kdc *= *https'": 1,
}


def shown() -> tuple[Command, ...]:
    """Every command of the docs, mentions too: in running text it is told by a program that is in one of the tables."""
    return every(frozenset(text.split()[0] for table in (PROGRAMS, ELSEWHERE, MENTIONED) for text in table))


def documented() -> tuple[Command, ...]:
    """Every command of the docs that somebody types, mentions aside; one that stands on several pages comes once."""
    first = dict[tuple[str, Prompt], Command]()
    for command in shown():
        if command.text not in MENTIONED:
            first.setdefault((command.text, command.prompt), command)
    return tuple(first.values())


def place_of(command: Command) -> Place | None:
    """Where it is run; None where nobody has said so."""
    if command.text in ELSEWHERE:
        return Place.ELSEWHERE
    if command.page == PLAYGROUND:
        return Place.PLAYGROUND
    if command.prompt in {Prompt.POWERSHELL, Prompt.CMD}:
        return Place.WINDOWS
    words = command.text.split()
    start = words.index(command.program)
    return PROGRAMS.get(" ".join(words[start : start + 2])) or PROGRAMS.get(command.program)


def of(*places: Place) -> list[Command]:
    """The commands that are run there."""
    return [command for command in documented() if place_of(command) in places]
