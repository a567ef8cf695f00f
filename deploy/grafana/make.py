"""Write the Grafana dashboard: python3 make.py > delta-node.json. Panels are one line each; the JSON is Grafana's own form (schema 39)."""

import json

DATA = {"type": "prometheus", "uid": "${source}"}
AT = '{instance=~"$instance"}'
# Names that every program has.
OURS = '{instance=~"$instance",job="delta-node"}'


def panel(title, queries, kind="timeseries", unit="short", width=8, height=8, text="", **options):
    """Describe a panel; each query is an expression and its legend."""
    return {
        "title": title,
        "description": text,
        "type": kind,
        "datasource": DATA,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit, **options.pop("defaults", {})}, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": DATA, "expr": expression, "legendFormat": legend}
            for n, (expression, legend) in enumerate(queries)
        ],
    }


def where(*labels):
    """Write a selector of the chosen instances and more labels."""
    return "{" + ",".join(['instance=~"$instance"', *labels]) + "}"


def stat(title, expression, legend="{{instance}}", unit="short", bad=None, text="", above=False):
    """Describe a number that is green, or red beyond `bad`."""
    steps = [{"color": "green", "value": None}]
    if bad is not None:
        steps = [
            {"color": "green" if above else "red", "value": None},
            {"color": "red" if above else "green", "value": bad},
        ]
    return panel(
        title,
        [(expression, legend)],
        kind="stat",
        unit=unit,
        width=4,
        height=5,
        text=text,
        defaults={"thresholds": {"mode": "absolute", "steps": steps}},
        reduceOptions={"calcs": ["lastNotNull"]},
        colorMode="value",
        graphMode="area",
    )


def quantile(q, metric, by, *labels):
    """Write the quantile of a histogram."""
    return f"histogram_quantile({q}, sum by (le, {by}) (rate({metric}_bucket{where(*labels)}[$__rate_interval])))"


def rate(metric, by, *labels):
    """Write a counter's rate."""
    return f"sum by ({by}) (rate({metric}{where(*labels)}[$__rate_interval]))"


PANELS = [
    stat("Connector", f"delta_connector_up{AT}", bad=1, text="1: the connector knows this node and is heard"),
    stat(
        "Ready",
        f"min by (instance) (delta_ready{AT})",
        bad=1,
        text="1: disk, url, database and connector are as they must be",
    ),
    stat("Tasks that run", f"delta_tasks_running{AT}"),
    stat("Waiting for the owner", f"delta_approvals_waiting{AT}", bad=1, above=True),
    stat("Room on the disk", f"delta_disk_free_bytes{AT}", unit="bytes", bad=2e9),
    stat("Version", f"delta_build_info{AT}", legend="{{instance}} {{version}} {{revision}}"),
    panel(
        "Rounds, by how they ended",
        [(f"sum by (role, outcome) (increase(delta_rounds_total{AT}[$__rate_interval]))", "{{role}}: {{outcome}}")],
        text="Of rounds that this node led or was a member of",
    ),
    panel(
        "How long rounds take",
        [
            (
                quantile(q, "delta_round_duration_seconds", "role", 'outcome=~"aggregated|contributed"'),
                "{{role}}, " + name,
            )
            for q, name in ((0.5, "half of them"), (0.95, "19 of 20"))
        ],
        unit="s",
    ),
    panel(
        "Where the time goes",
        [
            (
                f"sum by (role, phase) (rate(delta_phase_duration_seconds_sum{AT}[$__rate_interval]))",
                "{{role}}: {{phase}}",
            )
        ],
        unit="s",
        text="Seconds of each phase, a second: phases of rounds side by side add up",
    ),
    panel(
        "What is waited for",
        [(rate("delta_wait_seconds_total", "cause"), "{{cause}}")],
        unit="s",
        text="Seconds of standing still, a second",
    ),
    panel(
        "Tasks that ended", [(f"sum by (outcome) (increase(delta_tasks_total{AT}[$__rate_interval]))", "{{outcome}}")]
    ),
    panel(
        "Queues",
        [
            (f"sum by (queue) (delta_queue_length{AT})", "{{queue}}"),
            (f"delta_workers_running{AT}", "workers that run"),
            (f"delta_workers_limit{AT}", "workers that may run"),
        ],
    ),
    panel("Bytes", [(rate("delta_network_bytes_total", "link, direction"), "{{link}}, {{direction}}")], unit="Bps"),
    panel("Requests", [(rate("delta_http_requests_total", "status"), "{{status}}")], unit="reqps"),
    panel(
        "Limits that were hit",
        [(f"sum by (limit) (increase(delta_limit_hits_total{AT}[$__rate_interval]))", "{{limit}}")],
    ),
    panel(
        "Privacy budget left",
        [(f"delta_privacy_epsilon_left{AT} / delta_privacy_epsilon_budget{AT}", "{{instance}} {{dataset}}")],
        kind="bargauge",
        unit="percentunit",
        width=12,
        defaults={"min": 0, "max": 1},
        reduceOptions={"calcs": ["lastNotNull"]},
        orientation="horizontal",
        text="Epsilon that is neither charged nor reserved, of what the owner allows a period",
    ),
    panel(
        "Memory",
        [(f"process_resident_memory_bytes{OURS}", "{{instance}}")],
        unit="bytes",
        width=6,
        text="Without workers",
    ),
    panel(
        "Processor",
        [(f"rate(process_cpu_seconds_total{OURS}[$__rate_interval])", "{{instance}}")],
        unit="percentunit",
        width=6,
        text="Without workers",
    ),
    panel(
        "Descriptors",
        [(f"process_open_fds{OURS} / process_max_fds{OURS}", "{{instance}}")],
        unit="percentunit",
        width=12,
    ),
    panel(
        "Tasks followed",
        [(f"delta_tasks_followed{AT}", "{{instance}}"), (f"delta_tasks_limit{AT}", "limit of own tasks")],
        width=6,
    ),
    panel("Connector away", [(f"delta_connector_away_seconds{AT}", "{{instance}}")], unit="s", width=6),
]


def place(panels):
    """Set the panels side by side, 24 columns a row."""
    x = y = tall = 0
    for number, one in enumerate(panels, start=1):
        box = one["gridPos"]
        if x + box["w"] > 24:
            x, y, tall = 0, y + tall, 0
        one["id"], box["x"], box["y"] = number, x, y
        x, tall = x + box["w"], max(tall, box["h"])
    return panels


DASHBOARD = {
    "uid": "delta-node",
    "title": "Delta nodes",
    "tags": ["delta"],
    "schemaVersion": 39,
    "timezone": "utc",
    "refresh": "30s",
    "time": {"from": "now-6h", "to": "now"},
    "templating": {
        "list": [
            {"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"},
            {
                "name": "instance",
                "type": "query",
                "label": "Node",
                "datasource": DATA,
                "query": "label_values(delta_build_info, instance)",
                "refresh": 2,
                "multi": True,
                "includeAll": True,
                "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
            },
        ]
    },
    "panels": place(PANELS),
}

print(json.dumps(DASHBOARD, indent=1))
