# docker-py against the socket in /var/run: exec and attach, over the connection of their own and without.
import glob, os, shutil

# The installation that did not run would have made it.
os.makedirs("/etc/ssl/certs", exist_ok=True)
shutil.copy(glob.glob("/usr/share/ca-certificates/mozilla/*.crt")[0], "/etc/ssl/certs/ca-certificates.crt")
import docker, io, json, socket, tarfile

client = docker.from_env()
box = client.containers.run("busybox", ["sleep", "1000"], detach=True)
seen = {"exec": box.exec_run(["echo", "plain"]).output.decode()}
code, (out, err) = box.exec_run(["sh", "-c", "echo out; echo err >&2; exit 4"], demux=True)
seen["both"] = [code, out.decode(), err.decode()]
raw = client.api.exec_create(box.id, ["cat"], stdin=True)["Id"]
stream = client.api.exec_start(raw, socket=True)._sock
stream.sendall(b"through the socket\n")
stream.shutdown(socket.SHUT_WR)
reply = b""
while part := stream.recv(4096):
    reply += part
seen["socket"] = reply[8:].decode()
box.remove(force=True)
talker = client.containers.create("busybox", ["sh", "-c", "echo one; echo two"])
lines = talker.attach(stream=True, logs=True)
talker.start()
seen["attached"] = b"".join(lines).decode()
seen["waited"] = talker.wait()["StatusCode"]
seen["listed"] = talker.id in [each.id for each in client.containers.list(all=True, limit=5)]
talker.remove()

# The rest of what its clients use.
image, _ = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN echo built > /made\n"), tag="by-py:1", rm=True)
image.tag("by-py", "2")
seen["images"] = sorted(tag for each in client.images.list("by-py") for tag in each.tags)
seen["history"] = len(image.history()) > 1
volume = client.volumes.create("by-py", labels={"by": "py"})
network = client.networks.create("by-py", driver="bridge", labels={"by": "py"})
box = client.containers.run(
    "by-py:2",
    ["sh", "-c", "cat /made > /v/made; sleep 1000"],
    detach=True,
    name="by-py",
    network="by-py",
    volumes={"by-py": {"bind": "/v", "mode": "rw"}},
    ports={"80/tcp": None},
    mem_limit="64m",
    environment={"A": "b"},
    healthcheck={"test": ["CMD", "true"]},
)
archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    tar.add("/use-docker.py", "copied")
box.put_archive("/v", archive.getvalue())
bits, info = box.get_archive("/v/copied")
seen["archive"] = [info["name"], sum(map(len, bits)) > 1024]
box.reload()
seen["port"] = box.ports["80/tcp"][0]["HostPort"].isdigit()
seen["top"] = len(box.top(ps_args="aux")["Processes"]) > 0
seen["stats"] = "memory_stats" in box.stats(stream=False)
box.update(mem_limit="80m", memswap_limit="80m")
box.rename("by-py-2")
box.pause(), box.unpause(), box.restart(timeout=0)
box.commit("by-py", "3", changes="ENV X=y")
seen["diff"] = type(box.diff()).__name__
seen["saved"] = sum(map(len, image.save())) > 10240
box.kill()
box.remove(v=True, force=True)
for thing in (network, volume):
    thing.remove()
seen["info"] = "ID" in client.info() and "LayersSize" in client.df() and client.version()["Os"] == "linux"
for each in ("1", "2", "3"):
    client.images.remove(f"by-py:{each}", force=True)
client.containers.prune(), client.images.prune(), client.networks.prune(), client.volumes.prune()
print(json.dumps(seen))
