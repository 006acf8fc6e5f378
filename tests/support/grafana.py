"""A dashboard held against Grafana's own types: the npm packages @grafana/schema and typescript, fetched
once. Grafana itself is in no Debian package."""
import json
import subprocess

PACKAGES = ["@grafana/schema@11", "typescript@5"]
OPTIONS = {"stat": "stat/panelcfg/x/StatPanelCfg", "bargauge": "bargauge/panelcfg/x/BarGaugePanelCfg",
           "timeseries": "timeseries/panelcfg/x/TimeSeriesPanelCfg"}
# Those of Grafana's names of units that the dashboard uses.
UNITS = {"short", "bytes", "Bps", "s", "percentunit"}

# An enumeration is a name in TypeScript and the text behind it in JSON.
PLAIN = """
type Plain<T> = 0 extends (1 & T) ? T : T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[]
    : T extends object ? {[K in keyof T]: Plain<T[K]>} : T;
"""


def fetch(directory):
    """Raises FileNotFoundError when they cannot be had."""
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / "node_modules" / ".package-lock.json").exists():
        return
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", directory, *PACKAGES],
                          capture_output=True, text=True, timeout=200, check=False, cwd=directory)
    if done.returncode != 0:
        raise FileNotFoundError((done.stderr.strip() or "npm failed").splitlines()[-1])


def program(dashboard):
    """The dashboard, and once more each panel's options, which its own type alone knows."""
    lines = ["import type {Dashboard} from '@grafana/schema';"]
    lines += [f"import type {{Options as {kind}}} from '@grafana/schema/dist/esm/raw/composable/"
              f"{path}_types.gen';" for kind, path in OPTIONS.items()]
    lines += [PLAIN, f"export const dashboard: Plain<Dashboard> = {json.dumps(dashboard)};"]
    lines += [f"export const panel{panel['id']}: Plain<Partial<{panel['type']}>> = "
              f"{json.dumps(panel['options'])};"
              for panel in dashboard["panels"] if panel["type"] != "row"]
    return "\n".join(lines)


def type_errors(directory, dashboard):
    """What the compiler says of it; "": nothing."""
    (directory / "dashboard.ts").write_text(program(dashboard), encoding="utf-8")
    done = subprocess.run(
        [directory / "node_modules" / ".bin" / "tsc", "--noEmit", "--strict", "--skipLibCheck",
         "--moduleResolution", "node", "--target", "es2020", "dashboard.ts"],
        capture_output=True, text=True, timeout=200, check=False, cwd=directory)
    return done.stdout + done.stderr
