"""`poold demo` held to its promises; exits 0 only if every assertion holds.

Within 60 s of the start it has accepted shares, found and matured blocks, split rewards, and shows all of it on a page
and as JSON. Ctrl-C stops it cleanly, the next start goes on with the same data, a second process on the same data is
refused, and the audit agrees. Then all coins in one process: each goes from a miner through stratum, pool and
development node to a matured, credited and paid block, and each audit agrees.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

BINARIES = Path(sys.argv[1]).resolve()
passed = 0


def check(condition, what):
    global passed
    if not condition:
        raise SystemExit(f"FAILED: {what}")
    passed += 1
    print(f"ok: {what}", flush=True)


def get(path, as_json=True):
    with urllib.request.urlopen(f"http://127.0.0.1:28080{path}", timeout=5) as answer:
        text = answer.read().decode()
    return json.loads(text) if as_json else text


def demo(folder, log, coin="kaspa"):
    command = [BINARIES / "poold", "demo", "--coin", coin, "--data", "demo", "--http", "127.0.0.1:28080",
               "--stratum", "127.0.0.1:25555", "--node", "127.0.0.1:26610"]
    return subprocess.Popen([str(part) for part in command], cwd=folder, stdout=log, stderr=log)


def until(seconds, what, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.25)
    raise SystemExit(f"FAILED: no {what} within {seconds} s")


def stop(process):
    process.send_signal(signal.SIGINT)
    return process.wait(30)


def audit(folder, coin):
    command = [BINARIES / "poolctl", "audit", f"sqlite:demo/{coin}/pool.db", "--coin", coin]
    result = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True)
    print(result.stdout, result.stderr)
    check(result.returncode == 0, f"poolctl audit agrees on {coin}")


def all_coins(folder, log):
    """Five pools in one process, each from the first share to a payment."""
    process = demo(folder, log, "all")
    try:
        until(60, "page", lambda: get("/api/pools"))
        coins = [pool["id"] for pool in get("/api/pools")["pools"]]
        check(len(coins) == len(set(coins)) and "kaspa" in coins, f"one process mines {', '.join(coins)}")
        pool = lambda coin: get(f"/api/pools/{coin}")["pool"]
        for coin in coins:
            until(240, f"matured block of {coin}", lambda: pool(coin)["totalConfirmedBlocks"] > 0)
            until(120, f"payment of {coin}", lambda: any(paid["status"] in ("sent", "settled") for paid in get(f"/api/pools/{coin}/payments")))
            check(True, f"{coin}: mined, matured, credited and paid")
        until(60, "readiness of all", lambda: get("/readyz", as_json=False) == "ready\n")
        check(stop(process) == 0, "Ctrl-C stops them all")
        for coin in coins:
            audit(folder, coin)
    finally:
        if process.poll() is None:
            process.kill()


def main():
    folder = tempfile.mkdtemp(prefix="e2e-demo-")
    log_path = Path(folder) / "demo.log"
    log = open(log_path, "wb")
    process = demo(folder, log)
    try:
        began = time.monotonic()
        until(60, "matured and split block", lambda: get("/api/pools")["pools"][0]["totalConfirmedBlocks"] > 0
              and float(max((m["pendingBalance"] for m in get("/api/pools/kaspa/miners")), default=0)) > 0)
        check(True, f"accepted, found, matured and split {time.monotonic() - began:.0f} s after the start")
        pool = get("/api/pools")["pools"][0]
        check(pool["poolStats"]["sharesPerSecond"] > 0, "shares are accepted")
        check(pool["totalBlocks"] > 0 and pool["coin"]["symbol"] == "KAS", "the API shows the pool in miningcore's shape")
        blocks = get("/api/pools/kaspa/blocks?pageSize=100")
        check(any(block["status"] == "confirmed" and float(block["reward"]) > 0 for block in blocks), "a block is confirmed at a value")
        miner = get("/api/pools/kaspa/miners")[0]["miner"]
        stats = get(f"/api/pools/kaspa/miners/{miner}")
        check("cpu" in stats["performance"]["workers"], "the miner sees his worker")
        check("<title>Poolwright</title>" in get("/", as_json=False), "the page is there")
        check("pool_" in get("/metrics", as_json=False) and miner not in get("/metrics", as_json=False), "metrics are there, without wallets")
        check(get("/healthz", as_json=False) == "ok\n" and get("/readyz", as_json=False) == "ready\n", "the probes are green")
        second = subprocess.run([BINARIES / "poold", "demo", "--data", "demo", "--http", "127.0.0.1:28081", "--stratum", "127.0.0.1:25556", "--node", "127.0.0.1:26611"],
                                cwd=folder, capture_output=True, text=True, timeout=60)
        check(second.returncode == 1 and "in use by another process" in second.stderr, "a second process on the same data is refused")
        until(60, "payment", lambda: get("/api/pools/kaspa/payments"))
        check(True, "a payment is made")
        found = get("/api/pools")["pools"][0]["totalBlocks"]
        check(stop(process) == 0, "Ctrl-C stops it cleanly")
        process = demo(folder, log)
        until(60, "next start", lambda: get("/api/pools")["pools"][0]["totalBlocks"] > found)
        check(True, "the next start goes on with the same data")
        check(stop(process) == 0, "and stops cleanly again")
        audit(folder, "kaspa")
        all_coins(folder, log)
    except SystemExit as failure:
        print(failure, file=sys.stderr)
        print("\n".join(log_path.read_text(errors="replace").splitlines()[-40:]), file=sys.stderr)
        print(f"\n{passed} passed, 1 failed")
        return 1
    finally:
        if process.poll() is None:
            process.kill()
    print(f"\n{passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
