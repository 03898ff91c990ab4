"""A server for SSH behind a cable that can be cut, asked over pyinfra's own connector; run as a process of its own.

pyinfra's command line patches Python's threads before it begins, and so does this.
"""

from gevent import monkey

monkey.patch_all()

import json
import socket
import sys
import threading
import time

import paramiko
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all

from etcd_steward import waits

KEY = paramiko.ECDSAKey.generate()


class Server(paramiko.ServerInterface):
    """Answers `echo`, and never anything else; `flood` prints without an end."""

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "password"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.run, args=(channel, command), daemon=True).start()
        return True

    def run(self, channel, command):
        if b"echo" in command:
            channel.sendall(b"here\n")
            channel.send_exit_status(0)
            channel.close()
        while b"flood" in command and not channel.closed:
            channel.sendall(b"x" * 30000)


class Cable:
    """Carries bytes between two sockets until it is cut; nobody is told then, as where a cable is pulled."""

    def __init__(self):
        self.cut = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            near, _ = self.listener.accept()
            if self.cut:
                continue  # never answered, and kept open below
            far, inner = socket.socketpair()
            server = paramiko.Transport(inner)
            server.add_server_key(KEY)
            server.start_server(server=Server(), event=threading.Event())
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    def carry(self, one, other):
        try:
            while data := one.recv(65536):
                while self.cut:
                    time.sleep(3600)
                other.sendall(data)
        except OSError:
            pass


def told(host, command, **arguments):
    began = time.monotonic()
    try:
        done, output = host.run_shell_command(command, **arguments)
        answer = output.stdout if done else "failed"
    except OSError as error:
        answer = f"{type(error).__name__}: {error}"
    return answer[:300], time.monotonic() - began


def main():
    waits.ASK_AFTER_S, waits.SILENCE_S, waits.CONNECT_S, waits.ANSWER_BYTES = 0.2, 1, 2, 1 << 20
    cable, other = Cable(), Cable()
    data = {"ssh_hostname": "127.0.0.1", "ssh_user": "x", "ssh_password": "x", "ssh_allow_agent": False}
    data |= {
        "ssh_look_for_keys": False,
        "ssh_known_hosts_file": sys.argv[1],
        "ssh_strict_host_key_checking": "no",
    }
    hosts = [
        (name, {**data, "ssh_port": one.listener.getsockname()[1]})
        for name, one in (("cut", cable), ("whole", other))
    ]
    state = State(Inventory((hosts, {})), Config())
    connect_all(state)
    waits.watch(state)
    cut, whole = (state.inventory.get_host(name) for name in ("cut", "whole"))
    answers = {"before": told(cut, "echo")[0]}
    # A host that works, says nothing for long and is there is let work.
    answers["slow"] = told(whole, "sleep", _timeout=4)
    answers["flood"] = told(whole, "flood")[0]
    answers["after the flood"] = told(whole, "echo")[0]
    cable.cut = True
    answers["cut"] = told(cut, "sleep")[0]
    answers["still cut"] = told(cut, "echo")[0]
    answers["the other"] = told(whole, "echo")[0]
    cable.cut = False
    answers["back"] = told(cut, "echo")[0]
    answers["trouble"] = [waits.trouble(cut), waits.trouble(whole)]
    print(json.dumps(answers))


main()
