"""The pool against the real node, end to end; exits 0 only if every assertion holds.

The witness is the node itself, asked through the official client and not through the pool's code. The script runs
kaspad on devnet, `poold run` and `poolctl mine`, kills the pool with SIGKILL twice (once at a moment of full load,
once between the signing of a payout and the record of its end), and asserts:

 1. every block that the pool calls found is known to the node;
 2. for every concluded block the verdict (blue, red, lost) and the value are what the chain paid to the pool's
    address, to the sompi, computed here from the coinbases of the chain blocks;
 3. rewards are credited once, and not before maturity;
 4. every settled payout is accepted by the chain exactly once, its outputs are the ledger's amounts, and the miner
    owns exactly what the ledger says he was paid;
 5. every share that the miner was told was accepted is in the log, exactly once;
 6. `poolctl audit` agrees.
"""

import argparse
import asyncio
import collections
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import kaspa

MATURITY = 1000  # DAA score, the devnet's own
POOL_KEY = "11" * 32
MINER_KEY = "22" * 32
passed = 0


def check(condition, what):
    """One assertion; a failed one ends the run."""
    global passed
    if not condition:
        raise SystemExit(f"FAILED: {what}")
    passed += 1
    print(f"ok: {what}", flush=True)


def say(text):
    print(f"-- {text}", flush=True)


def address(key):
    return kaspa.PrivateKey(key).to_keypair().to_address("devnet").to_string()


class Run:
    """One run: its processes, its folder, its ports."""

    def __init__(self, arguments):
        self.kaspad = arguments.kaspad
        self.binaries = Path(arguments.binaries).resolve()
        self.folder = Path(tempfile.mkdtemp(prefix="e2e-kaspa-"))
        base = random.randrange(20000, 29000)
        self.grpc, self.wrpc, self.p2p, self.stratum, self.http = range(base, base + 5)
        self.processes = []
        self.pool = None

    def start(self, name, *command):
        log = open(self.folder / f"{name}.log", "ab")
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, cwd=self.folder)
        self.processes.append(process)
        return process

    def start_node(self):
        self.start(
            "kaspad", self.kaspad, "--devnet", f"--appdir={self.folder / 'node'}", "--nologfiles", "--utxoindex",
            "--enable-unsynced-mining", "--nodnsseed", "--disable-upnp", "--outpeers=0", "--maxinpeers=0",
            f"--listen=127.0.0.1:{self.p2p}", f"--rpclisten=127.0.0.1:{self.grpc}",
            f"--rpclisten-borsh=127.0.0.1:{self.wrpc}", "--ram-scale=0.3", "--yes",
        )

    def configure(self):
        (self.folder / "pool.key").write_text(POOL_KEY)
        (self.folder / "pool.key").chmod(0o600)
        (self.folder / "pool.toml").write_text(f"""
[pool]
name = "end to end"
store = "sqlite:pool.db"
[http]
listen = "127.0.0.1:{self.http}"
[kaspa]
network = "devnet"
nodes = ["127.0.0.1:{self.grpc}"]
address = "{address(POOL_KEY)}"
key_file = "pool.key"
confirmations = 100
mine_unsynced = true
[[kaspa.listen]]
address = "127.0.0.1:{self.stratum}"
[kaspa.vardiff]
share_interval_ms = 500
start_difficulty = "0.00001"
min_difficulty = "0.000001"
[kaspa.reward]
scheme = "pplns"
window_blocks = "10"
fee_bps = 100
finder_bonus_bps = 50
[kaspa.payout]
interval_secs = 5
threshold = "100"
confirmations = 100
""")

    def start_pool(self):
        self.pool = self.start("poold", self.binaries / "poold", "run", "--config", "pool.toml")

    def kill_pool(self):
        self.pool.send_signal(signal.SIGKILL)
        self.pool.wait()

    def start_miner(self):
        return self.start(
            "miner", self.binaries / "poolctl", "mine", "--pool", f"127.0.0.1:{self.stratum}",
            "--user", f"{address(MINER_KEY)}.e2e", "--threads", "2", "--journal", "journal.jsonl",
        )

    def rows(self, query, *parameters):
        """Reads the pool's database while the pool writes it."""
        with sqlite3.connect(f"file:{self.folder / 'pool.db'}?mode=ro", uri=True, timeout=10) as database:
            return database.execute(query, parameters).fetchall()

    def api(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def wait_for(self, what, condition, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for process in self.processes:
                if process.poll() not in (None, -signal.SIGKILL):
                    raise SystemExit(f"FAILED: a process ended with {process.returncode} while waiting for {what}")
            try:
                result = condition()
            except (sqlite3.OperationalError, OSError):
                result = None
            if result:
                return result
            time.sleep(0.05)
        raise SystemExit(f"FAILED: no {what} within {seconds} s (see {self.folder})")

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


async def witness(run):
    """The official client, connected to the node."""
    client = kaspa.RpcClient(url=f"ws://127.0.0.1:{run.wrpc}", encoding="borsh", network_id="devnet")
    for _ in range(100):
        try:
            await client.connect(block_async_connect=True, timeout_duration=2000, retry_interval=200, strategy="fallback")
            return client
        except Exception:
            await asyncio.sleep(0.3)
    raise SystemExit("FAILED: the node does not answer")


async def block(client, hash_):
    answer = await client.get_block({"hash": hash_, "includeTransactions": True})
    return answer["block"]


def script_of(output):
    script = output.get("scriptPublicKey")
    if isinstance(script, dict):
        return script.get("script") or script.get("scriptPublicKey")
    return str(script)[4:]


async def what_the_chain_paid(client, pool_address):
    """Per block of the pool: its verdict and what the chain's coinbases paid for it, and the chain's scores."""
    own = kaspa.pay_to_address_script(kaspa.Address(pool_address)).script
    genesis = (await client.get_block_dag_info({}))["pruningPointHash"]
    chain = await client.get_virtual_chain_from_block(
        {"startHash": genesis, "includeAcceptedTransactionIds": True, "minConfirmationCount": 0})
    accepted = collections.Counter()
    for entry in chain["acceptedTransactionIds"]:
        accepted.update(entry["acceptedTransactionIds"])
    paid, verdict, merged_at = collections.Counter(), {}, {}
    for hash_ in chain["addedChainBlockHashes"]:
        chain_block = await block(client, hash_)
        verbose = chain_block["verboseData"]
        coinbase = chain_block["transactions"][0]
        blues, reds = verbose["mergeSetBluesHashes"], verbose["mergeSetRedsHashes"]
        daa = chain_block["header"]["daaScore"]
        # The genesis is nobody's and has no output.
        blues = [blue for blue in blues if blue != genesis]
        outputs = coinbase["outputs"]
        for blue, output in zip(blues, outputs):
            verdict[blue], merged_at[blue] = "main", daa
            if script_of(output) == own:
                paid[blue] += int(output["value"])
        for red in reds:
            verdict[red], merged_at[red] = "red", daa
        for output in outputs[len(blues):]:
            if script_of(output) == own:
                paid[hash_] += int(output["value"])
    return paid, verdict, merged_at, accepted


async def drive(run):
    run.start_node()
    client = await witness(run)
    info = await client.get_server_info({})
    say(f"kaspad {info['serverVersion']} on {info['networkId']}")
    run.configure()
    run.start_pool()
    run.wait_for("pool", lambda: run.api("/api/pools"), 30)
    miner = run.start_miner()
    run.wait_for("20 found blocks", lambda: run.rows("select count(*) from blocks")[0][0] >= 20, 180)
    say("blocks are found; killing the pool under load")
    run.kill_pool()
    before = run.rows("select count(*) from shares")[0][0]
    run.start_pool()
    run.wait_for("shares after the first kill", lambda: run.rows("select count(*) from shares")[0][0] > before + 20, 60)

    say("waiting for maturity (1000 DAA score) and a signed payout")
    signed = run.wait_for("signed payout", lambda: run.rows(
        "select id, signed from payouts where signed is not null and fate is null limit 1"), 1200)
    run.kill_pool()
    payout, first_bytes = signed[0]
    say(f"killed the pool after it signed {payout} and before it recorded the end")
    check(run.rows("select fate from payouts where id = ?", payout)[0][0] is None, "the payout's end was not on record when the pool was killed")
    run.start_pool()
    run.wait_for("settled payout", lambda: run.rows("select 1 from payouts where id = ? and fate is not null", payout), 300)
    check(run.rows("select signed from payouts where id = ?", payout)[0][0] == first_bytes, "the signed bytes were not replaced")
    run.wait_for("second settled payout", lambda: run.rows("select count(*) from payouts where fate is not null")[0][0] >= 2, 600)

    say("stopping the miner, then the pool")
    miner.terminate()
    miner.wait(30)
    run.pool.terminate()
    check(run.pool.wait(30) == 0, "the pool stops cleanly on a termination request")
    await assertions(run, client)


async def assertions(run, client):
    pool_address, miner_address = address(POOL_KEY), address(MINER_KEY)
    paid, verdict, merged_at, accepted = await what_the_chain_paid(client, pool_address)
    virtual_daa = (await client.get_block_dag_info({}))["virtualDaaScore"]

    found = run.rows("select hex(id), fate from blocks")
    for hash_, _ in found:
        await block(client, hash_.lower())
    check(len(found) >= 40, f"all {len(found)} blocks of the pool are known to the node")

    concluded = [(hash_.lower(), json.loads(fate)) for hash_, fate in found if fate]
    wrong = []
    for hash_, fate in concluded:
        value = int(fate.get("value", 0)) if fate["fate"] == "matured" else 0
        if value != paid[hash_] or fate.get("placement") != verdict.get(hash_, "orphan"):
            wrong.append((hash_, fate, paid[hash_], verdict.get(hash_)))
    check(not wrong, f"verdict and value of {len(concluded)} concluded blocks are the chain's, to the sompi {wrong[:3]}")
    check(sum(paid[hash_] for hash_, _ in concluded) > 0, "the chain paid the pool")

    credits = [cause.split("/")[1] for (cause,) in run.rows("select cause from entries where cause like 'block-reward/%'")]
    check(len(credits) == len(set(credits)), f"{len(credits)} rewards are credited once")
    young = [hash_ for hash_ in credits if virtual_daa < merged_at.get(hash_, virtual_daa) + MATURITY]
    check(not young, "no reward was credited before it was mature")

    outputs = await client.get_utxos_by_addresses({"addresses": [miner_address]})
    by_tx = collections.Counter()
    for entry in outputs["entries"]:
        outpoint = entry["outpoint"]
        utxo = entry.get("utxoEntry", entry)
        by_tx[outpoint["transactionId"]] += int(utxo["amount"])
    settled = ledger = 0
    for batch, signed, fate in run.rows("select batch, signed, fate from payouts"):
        if fate is None or json.loads(fate)["fate"] != "settled":
            continue
        settled += 1
        txid = json.loads(signed)["id"]
        amount = sum(int(item["amount"]) for item in json.loads(batch)["items"])
        ledger += amount
        check(accepted[txid] == 1, f"payout {txid[:16]}… is accepted by the chain exactly once")
        check(by_tx[txid] == amount, f"its outputs are the ledger's {amount} sompi")
    check(settled >= 2, f"{settled} payouts are settled")
    open_txids = {json.loads(s)["id"] for (s,) in run.rows("select signed from payouts where fate is null and signed is not null")}
    stray = [txid for txid in by_tx if txid not in open_txids and by_tx[txid] and not run.rows("select 1 from payouts where signed like ?", f"%{txid}%")]
    check(not stray, "the miner got nothing that is not in the books: nobody is paid twice")

    log = collections.Counter(evidence.hex() for (evidence,) in run.rows("select evidence from shares"))
    acknowledged = set()
    for line in (run.folder / "journal.jsonl").read_text().splitlines():
        answer = json.loads(line)
        if answer["accepted"]:
            evidence = answer["pre_pow"] + answer["timestamp"].to_bytes(8, "little").hex() + bytes.fromhex(answer["nonce"])[::-1].hex()
            acknowledged.add(evidence)
    missing = acknowledged - set(log)
    check(len(acknowledged) > 200 and not missing, f"all {len(acknowledged)} acknowledged shares are in the log")
    twice = [evidence for evidence, count in log.items() if count > 1]
    check(not twice, f"none of the {len(log)} shares in the log is there twice")

    audit = subprocess.run([run.binaries / "poolctl", "audit", f"sqlite:{run.folder / 'pool.db'}"], capture_output=True, text=True)
    print(audit.stdout, audit.stderr)
    check(audit.returncode == 0, "poolctl audit recomputes every split and every balance, and they agree")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kaspad", required=True)
    parser.add_argument("--binaries", required=True)
    run = Run(parser.parse_args())
    began = time.monotonic()
    try:
        asyncio.run(drive(run))
    except SystemExit as failure:
        print(failure, file=sys.stderr)
        for log in sorted(run.folder.glob("*.log")):
            print(f"--- the end of {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]), file=sys.stderr)
        print(f"\n{passed} passed, 1 failed")
        return 1
    finally:
        run.stop()
    print(f"\nend to end against the real node in {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
