"""Whole links: every record judged as the other side has to judge it."""

import copy

import hello
import primitives
import records
import schedule
from checks import data
from faults import Disagreement, Fault, agree

OTHER = {"device": "service", "service": "device"}


def tickets_of(listed):
    return [
        {"ticket_id": data(ticket, "ticket_id"), "psk": data(ticket, "psk"), "suite": ticket["suite"]}
        for ticket in listed
    ]


class Link:
    """A device and a service in one: both sets of private inputs are known."""

    def __init__(self, case):
        self.case, self.odd = case, case.get("odd")
        self.device = dict(case["device"])
        if "pins_hex" in self.device:
            self.device["pins"] = [bytes.fromhex(pin) for pin in self.device["pins_hex"]]
        if "ticket" in self.device:
            self.device["ticket"] = tickets_of([self.device["ticket"]])[0]
        self.service = dict(case["service"])
        self.service["tickets"] = tickets_of(self.service["tickets"])
        self.service["min_suite"] = self.service["policy"]["min_suite"]
        self.phase = "hello"
        self.directions = None

    def take(self, record, sender, is_honest):
        """
        One record by its receiver; what it opens to, if it is sealed. Raises Fault where it is refused.

        is_honest: its sender says what it has to say, which is checked too
        """
        kind = records.decode_header(record[: records.HEADER_BYTES])[0]
        body = record[records.HEADER_BYTES :]
        if self.phase == "open":
            return self.directions[sender].open(record)
        wanted = {
            "hello": (records.CLIENT_HELLO, "device", self._client_hello),
            "answer": (records.SERVER_HELLO, "service", self._server_hello),
            "finish": (records.CLIENT_FINISHED, "device", self._client_finished),
        }
        expected_kind, expected_sender, judge = wanted[self.phase]
        if (kind, sender) != (expected_kind, expected_sender):
            raise Fault("order", f"a record of type {kind} from the {sender}")
        judge(body, is_honest)
        return None

    def _client_hello(self, body, is_honest):
        self.client, self.client_core = hello.read_client_hello(body)
        self.choice = hello.judge_client(self.service, self.client, self.client_core)
        if is_honest and self.odd != "device":
            self._check_client_hello()
        self.phase = "answer"

    def _check_client_hello(self):
        """A device says this and nothing else."""
        device, core = self.device, self.client_core
        agree("client_random", core["client_random"], data(device, "client_random"))
        is_alone = device.get("ticket_only", False)
        suites = [] if is_alone else device["suites"]
        agree("offers", [offer["suite"] for offer in core["offers"]], suites)
        for offer in core["offers"]:
            agree("public_key", offer["public_key"], self._key(offer["suite"]).public)
        agree("pinned_server_id", core["pinned_server_id"], (device.get("pins") or [b""])[0])
        ticket = device.get("ticket")
        mode = 0 if ticket is None else (hello.PSK_ONLY if is_alone else hello.PSK_KEM)
        agree("resume_mode", core["resume_mode"], mode)
        if ticket is not None:
            agree("ticket_id", core["ticket_id"], ticket["ticket_id"])
            binder = schedule.binder(ticket["psk"], self.client["core"])
            agree("binder", self.client["binder"], binder)

    def _key(self, suite):
        if suite == 1:
            return primitives.RsaKey(data(self.device, "rsa_private_key"))
        return primitives.XWingKey(data(self.device, "xwing_seed"))

    def _server_hello(self, body, is_honest):
        answer, core = hello.read_server_hello(body)
        self.suite = hello.judge_server(self.device, self.client, answer, core)
        secret = self._secret(core)
        psk = self.device["ticket"]["psk"] if core["ticket_accepted"] else schedule.NONE
        heard = [self.client["core"], self.client["binder"], answer["core"], answer["signature"]]
        self.secrets = schedule.link_secrets(heard, psk, secret)
        if not schedule.equal(self.secrets["server_confirm"], answer["server_confirm"]):
            raise Fault("confirm", "the service does not have the link's keys")
        self.secrets |= {"psk": psk, "kem_secret": secret}
        self.rules = core["rules"]
        if is_honest:
            self._check_server_hello(core)
        self.phase = "finish"

    def _secret(self, core):
        """The device's secret. [ENV-22] to [ENV-25]"""
        number, ciphertext = core["suite"], core["kem_ciphertext"]
        if number == 0:
            hello.need(ciphertext == b"", "a ciphertext without a key", "kem")
            return schedule.NONE
        key = self._key(number)
        if number != 1:
            return key.decapsulate(ciphertext)
        hello.need(len(ciphertext) == key.size, "an RSA ciphertext of another length", "kem")
        try:
            return key.decrypt(ciphertext)
        except Fault:
            # Any bytes fail at the confirm, which is the point. [ENV-24]
            return schedule.sha256(ciphertext)

    def _check_server_hello(self, core):
        """A service says this and nothing else."""
        service, policy = self.service, self.service["policy"]
        number, suite, ticket = self.choice
        agree("suite", (core["suite"], self.suite), (number, suite))
        agree("ticket_accepted", core["ticket_accepted"], ticket is not None)
        for name in ("server_random", "link_id"):
            agree(name, core[name], data(service, name))
        public = primitives.ed25519_public(data(service, "ed25519_seed"))
        agree("ed25519", core["keys"]["ed25519"], public)
        if "ml_dsa_65_seed_hex" in service:
            public = primitives.ml_dsa_65_public(data(service, "ml_dsa_65_seed"))
            agree("ml_dsa_65", core["keys"]["ml_dsa_65"], public)
        for name in ("min_suite", "rekey_records", "rekey_bytes", "lifetime_s"):
            agree(name, core["rules"][name], policy[name])
        agree("next_server_id", core["rules"]["next_server_id"], data(policy, "next_server_id"))
        if number == 1:
            agree("kem_secret", self.secrets["kem_secret"], data(service, "kem_randomness")[:32])

    def _client_finished(self, body, is_honest):
        confirm = hello.read_client_finished(body)
        if not schedule.equal(self.secrets["client_confirm"], confirm):
            raise Fault("confirm", "the device does not have the link's keys")
        aead, limits = hello.SUITES[self.suite][1], self.rules
        make = lambda name: records.Direction(
            aead, self.secrets[name], limits["rekey_records"], limits["rekey_bytes"]
        )
        self.directions = {"device": make("c_traffic_1"), "service": make("s_traffic_1")}
        self.phase = "open"


def check_link(case):
    """In a link that one side refuses the last record but one is refused, and the last one says so."""
    link, fails = Link(case), case["expect"] != "valid"
    honest = case["records"][:-2] if fails else case["records"]
    for at, said in enumerate(honest):
        try:
            take_honest(link, said, at)
        except Fault as fault:
            raise Disagreement(f"record {at} is refused: {fault}") from None
    if not fails:
        for name, value in case["secrets"].items():
            agree(name, link.secrets[name.removesuffix("_hex")].hex(), value)
        return
    wrong, answer = case["records"][-2:]
    agree("the sender of what is refused", wrong["from"], OTHER[case["judge"]])
    try:
        link.take(data(wrong, "record"), wrong["from"], False)
    except Fault as fault:
        check_alert(link, case["judge"], answer)
        raise fault


def take_honest(link, said, at):
    record, sender = data(said, "record"), said["from"]
    if link.phase != "open":
        link.take(record, sender, True)
        return
    # Sealing and opening both use up a number: each has a state of its own.
    twin = copy.copy(link.directions[sender])
    kind, content = link.take(record, sender, True)
    agree(f"type of record {at}", kind, said["opens"]["type"])
    agree(f"content of record {at}", content, data(said["opens"], "content"))
    agree(f"record {at}", twin.seal(kind, content), record)


def check_alert(link, judge, answer):
    """[ENV-20] [ENV-49] [ENV-50]"""
    agree("who answers", answer["from"], judge)
    record = data(answer, "record")
    if link.phase != "open":
        alert = records.clear_record(records.ALERT, hello.encode_alert(40))
    else:
        alert = link.directions[judge].seal("alert", hello.encode_alert(20))
    agree("the alert", record, alert)
