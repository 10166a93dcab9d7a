# SPDX-License-Identifier: Apache-2.0
"""Random inputs for the workflow KitchenSink (modules/kitchensink/README.md), each with what it has to give.

A recipe is a function of its seed. What every step gives is known beforehand and does not depend on who is faster or on
which workers die meanwhile, by these rules: what is cancelled never ends by itself (or what comes of it is written down
as the same either way, "as"); what is waited for is sure to come; attempts that a lost worker may use up are not
counted; and whoever waits for a variable waits for one that an earlier branch or the client sets."""
import random

FOREVER_MS = 3_600_000
# What the search attributes of attributes() are; the server has to know them.
ATTRIBUTES = {"CustomKeywordField": "KEYWORD", "CustomIntField": "INT", "CustomBoolField": "BOOL", "CustomDoubleField": "DOUBLE"}
FEATURES = {"activity", "local", "timer", "spawn", "scope", "select", "sync", "child", "external", "signal", "update", "patch",
            "side_effect", "values", "attributes", "memo", "continue", "cancel", "workflow_retry", "query"}


class Recipe:
    """input: of the workflow; trace, messages: what its result has to hold; status: how it has to end; calls: what
    the client says to it meanwhile; children: how those end that outlive their parent's steps, by id."""

    def __init__(self, seed, features=FEATURES, task_timeout_ms=1000):
        self.seed, self.features, self.task_timeout_ms = seed, features, task_timeout_ms
        self.rng = random.Random(seed)
        self.counter = 0
        self.calls, self.expect, self.messages, self.children = [], [], {}, {}
        self.quiet = 0  # in here nothing may depend on the client
        self.budget = self.rng.choice([4, 8, 8, 15, 15, 30, 60])
        self.segments = self.rng.choice([1, 1, 2, 3]) if "continue" in features else 1
        self.ending = self.rng.choice(["return", "return", "return", "fail", "cancel", "cancel return"])
        if self.ending.startswith("cancel") and not {"cancel", "scope"} <= features:
            self.ending = "return"
        if self.ending.startswith("cancel"):
            self.segments = 1  # a request to cancel is for one run
        self.retry = 0
        if self.segments == 1 and self.ending == "return" and "workflow_retry" in features and self.chance(0.15):
            self.retry = self.rng.randint(1, 2)
            self.quiet = 1  # signals of a failed attempt are lost
        self.leftovers = self.segments == 1
        self.first_segment = True
        self.dynamic = self.chance(0.3)
        self.prefix = ""
        self.input = {"steps": self.whole(), "expect": self.expect, "dynamic": self.dynamic}

    # ---- small things

    def chance(self, probability):
        return self.rng.random() < probability

    def has(self, *names):
        return set(names) <= self.features

    def number(self):
        self.counter += 1
        return self.counter

    def make(self, do, **members):
        return {"do": do, "n": self.number(), **members}

    def value(self):
        return self.rng.choice([None, True, 7, -1, 1 << 40, 0.5, "soup", "\u00e9\u4e2d", "x" * 300, [], {}, [1, [2]],
                                {"a": {"b": [None]}}, self.rng.randrange(1000)])

    def forever(self):
        return self.rng.randint(1, 5) * FOREVER_MS

    def mix(self, size):
        """A few steps."""
        return self.rng.randint(1, max(1, size))

    # ---- the whole workflow

    def whole(self):
        steps, self.trace = [], []

        def add(pair):
            steps.append(pair[0])
            self.trace.append(pair[1])
        if self.retry:
            steps.append(self.make("fail", type="Burnt", attempts=self.retry))
            self.trace.append(None)
        if self.ending.startswith("cancel"):
            add(self.shield(self.steps(2)))
            self.expected_keys_in(steps[-1])
            steps.append(self.make("await_cancel"))
            self.trace.append("enough")
            self.quiet += 1
            self.calls.append({"call": "cancel", "reason": "enough"})
            add(self.shield(self.steps(1, 3)))
        else:
            for segment in range(self.segments):
                self.leftovers = segment == self.segments - 1
                if segment:
                    steps.append(self.make("continue"))
                    self.first_segment = False
                for pair in zip(*self.steps(0, max(1, self.budget // (self.segments - segment)))):
                    add(pair)
        self.status = "Completed"
        if self.ending == "fail":
            steps.append(self.make("fail", type="Burnt", fatal=self.chance(0.5), details=self.value()))
            self.status = "Failed"
        elif self.ending == "cancel":
            steps.append(self.make("cancelled"))
            self.status = "Canceled"
        elif self.chance(0.3):
            steps.append(self.make("return"))
        return steps

    def shield(self, pair):
        return self.make("scope", shielded=True, steps=pair[0]), pair[1]

    def expected_keys_in(self, scope):
        """Before the run may be cancelled its messages have to be in: a handler begins in no shield of the main code's."""
        scope["steps"].append(self.make("messages", keys=list(self.expect)))
        self.trace[-1].append(None)

    def steps(self, depth, size=None):
        steps, expected = [], []
        for _ in range(self.mix(size or (3 if depth else self.budget))):
            if self.budget <= 0 and steps:
                break
            self.budget -= 1
            step, gives = self.step(depth)
            steps.append(step)
            expected.append(gives)
        return steps, expected

    def step(self, depth):
        makers = [(6, self.future), (2, self.check)]
        if depth < 4:
            if self.has("spawn"):
                makers += [(3, self.all_of), (2, self.any_of)]
                if self.has("sync"):
                    makers += [(1, self.sync)]
            if self.has("scope", "spawn"):
                makers += [(2, self.scope)]
            makers += [(2, self.many)]
            if self.has("child"):
                makers += [(1, self.with_child)]
        makers += [(1, self.wait)]
        if not self.quiet:
            if self.has("signal"):
                makers += [(2, self.told)]
            if self.has("update"):
                makers += [(2, self.asked)]
        weights, functions = zip(*makers)
        return self.rng.choices(functions, weights)[0](depth)

    # ---- futures: each gives (step, what it gives)

    def future(self, depth):
        makers = []
        if self.has("timer"):
            makers += [(3, self.timer), (1, self.cancelled_timer)]
        if self.has("activity"):
            makers += [(4, self.activity), (2, self.bad_activity), (2, self.cancelled_activity)]
        if self.has("local"):
            makers += [(3, self.local), (2, self.bad_local), (1, self.cancelled_local)]
        if self.has("child") and depth < 4:
            makers += [(2, self.child), (1, self.bad_child), (1, self.cancelled_child)]
            if self.leftovers and not self.quiet:
                makers += [(1, self.left_child)]
        if self.has("external"):
            makers += [(1, self.stranger)]
        weights, functions = zip(*makers)
        return self.rng.choices(functions, weights)[0](depth)

    def timer(self, _depth):
        return self.make("timer", ms=self.rng.choice([1, 1, 2, 10, 30])), {"ok": None}

    def cancelled_timer(self, _depth):
        return self.make("timer", ms=self.forever(), cancel_ms=self.rng.choice([0, 0, 1, 20])), "cancelled"

    def activity(self, _depth):
        value = self.value()
        step = self.make("activity", how=self.rng.choice(["ok", "ok", "ok", "retry", "resume"]), value=value,
                         start_to_close_ms=1500)
        if step["how"] == "retry":
            step.update(times=self.rng.randint(1, 2))
        elif step["how"] == "resume":
            step.update(value="progress", heartbeat_ms=1000)
            value = "progress"
        elif self.chance(0.3):
            step.update(ms=self.rng.randint(1, 40))
        if self.chance(0.2):
            step.update(summary="stir", schedule_to_close_ms=FOREVER_MS)
        return step, {"ok": value}

    def bad_activity(self, _depth):
        kind = self.rng.randrange(6)
        if kind == 0:
            return self.make("activity", how="fatal", value=self.value(), start_to_close_ms=1500), {"failed": "Spoilt"}
        if kind == 1:  # a lost attempt counts, and makes it a timeout
            return self.make("activity", how="fail", attempts=self.rng.randint(1, 3), start_to_close_ms=1500,
                             **{"as": "exhausted"}), "exhausted"
        late = {"failed": "Timeout"}
        if kind == 2:
            return self.make("activity", how="silent", attempts=1, start_to_close_ms=self.rng.randint(30, 100)), late
        if kind == 3:
            return self.make("activity", how="silent", attempts=1, heartbeat_ms=100, start_to_close_ms=30000), late
        if kind == 4:
            return self.make("activity", how="silent", schedule_to_close_ms=self.rng.randint(50, 100)), late
        return self.make("activity", queue="kitchen-nobody", schedule_to_start_ms=self.rng.randint(20, 60)), late

    def cancelled_activity(self, _depth):
        """It hangs until it hears, by a heartbeat. Its worker may die meanwhile, so that it ends by a timeout."""
        step = self.make("activity", how="hang", heartbeat_ms=600, start_to_close_ms=20000,
                         cancel_ms=self.rng.choice([0, 1, 5, 30]), type=self.rng.choice(["try", "wait", "abandon"]))
        if step["type"] == "wait":
            step.update({"as": "ended", "how": self.rng.choice(["hang", "finish"])})
        return step, step.get("as", "cancelled")

    def local(self, _depth):
        value = self.value()
        step = self.make("local", how=self.rng.choice(["ok", "ok", "retry"]), value=value)
        if step["how"] == "retry":
            step.update(times=self.rng.randint(1, 3))
            if self.chance(0.6):
                step.update(retry_ms=30, threshold_ms=self.rng.choice([1, 40]))
        elif self.chance(0.2):
            step.update(ms=self.rng.choice([1, 10, 60]))
        return step, {"ok": value}

    def bad_local(self, _depth):
        kind = self.rng.randrange(3)
        if kind == 0:
            return self.make("local", how="fatal", value=self.value()), {"failed": "Spoilt"}
        if kind == 1:
            step = self.make("local", how="fail", attempts=self.rng.randint(1, 3))
            if self.chance(0.5):
                step.update(retry_ms=20, threshold_ms=1)
            return step, {"failed": "Burnt"}
        return self.make("local", how="silent", attempts=1, start_to_close_ms=40), {"failed": "Timeout"}

    def cancelled_local(self, _depth):
        step = self.make("local", how="hang", cancel_ms=self.rng.choice([0, 0, 0, 5]), start_to_close_ms=10000,
                         type=self.rng.choice(["try", "wait", "abandon"]))
        if step["type"] == "abandon":
            step.update(start_to_close_ms=200)
        return step, "cancelled"

    # ---- children

    def sub(self, depth, endless=False, size=3):
        """The input of a child and the result that it has to have."""
        self.quiet += 1
        leftovers, self.leftovers = self.leftovers, False
        steps, trace = self.steps(depth + 1, size)
        if endless:
            steps.append(self.endless(depth + 1))
        self.leftovers = leftovers
        self.quiet -= 1
        return {"steps": steps}, {"ok": {"trace": trace, "messages": {}}}

    def one_child(self, **members):
        return self.make("child", id=self.child_id(), task_timeout_ms=self.task_timeout_ms, **members)

    def child_id(self):
        return f"/c{self.number()}"

    def child(self, depth):
        given, result = self.sub(depth)
        step = self.one_child(input=given)
        if self.chance(0.3):
            step.update(attempts=3)
            given["steps"].insert(0, self.make("fail", type="Burnt", attempts=self.rng.randint(1, 2)))
            result["ok"]["trace"].insert(0, None)
        elif self.has("continue") and self.chance(0.3):
            given["steps"].insert(self.rng.randint(0, len(given["steps"])), self.make("continue"))
        return step, result

    def bad_child(self, depth):
        if self.chance(0.6):
            given, _ = self.sub(depth)
            given["steps"].append(self.make("fail", type="Burnt", details=self.value()))
            return self.one_child(input=given), {"failed": "Burnt"}
        if not self.leftovers or self.chance(0.5):
            given, _ = self.sub(depth, endless=True, size=1)
            return self.one_child(input=given, run_timeout_ms=400), {"failed": "Timeout"}
        given, _ = self.sub(depth, endless=True, size=1)
        first = self.one_child(input=given, started=True, policy="terminate", **{"as": "started"})
        return self.make("scope", steps=[first, self.make("child", id=first["id"], input=given)]), [
            "started", {"error": "FLO_EEXIST"}]

    def cancelled_child(self, depth):
        given, _ = self.sub(depth, endless=True, size=2)
        kinds = ["wait", "try", "requested"] + (["abandon"] if self.leftovers else [])
        step = self.one_child(input=given, type=self.rng.choice(kinds),
                         cancel_ms=self.rng.choice([0, 1, 20, 50]))
        return step, "cancelled"

    def left_child(self, depth):
        """One that is there still when its parent ends."""
        policy = self.rng.choice(["terminate", "cancel", "abandon"])
        given, _ = self.sub(depth, endless=policy != "abandon", size=2)
        if policy == "cancel":  # it may be asked before its steps begin: they are cancelled, whatever they are
            given["steps"] = [self.endless(depth + 1)]
        step = self.one_child(input=given, policy=policy, started=True, **{"as": "started"})
        self.children[step["id"]] = {"terminate": "Terminated", "cancel": "Canceled", "abandon": "Completed"}[policy]
        return step, "started"

    def with_child(self, depth):
        given, result = self.sub(depth)
        step = self.make("with_child", signals=[], child=self.one_child(input=given))
        for _ in range(self.rng.randint(1, 3)):
            name, value = f"v{self.number()}", self.rng.randrange(1000)
            step["signals"].append({"name": "set", "input": {"name": name, "value": value}})
            place = self.rng.randint(0, len(given["steps"]))
            given["steps"].insert(place, self.make("await", name=name))
            result["ok"]["trace"].insert(place, value)
        if self.chance(0.3):
            given["steps"].append(self.endless(depth + 1))
            step[self.rng.choice(["cancel", "cancel_external"])] = True
            result = "cancelled"
        return step, result

    def stranger(self, _depth):
        return self.make(self.rng.choice(["signal", "cancel"]), to="kitchen-nobody"), {"error": "FLO_ENOENT"}

    # ---- what never ends by itself, for what is cancelled

    def endless(self, depth):
        makers = [lambda: self.make("sleep", ms=self.forever()), lambda: self.make("timer", ms=self.forever()),
                  lambda: self.make("await", name="nobody sets this")]
        if self.has("activity"):
            makers += [lambda: self.make("activity", how="hang", heartbeat_ms=600, start_to_close_ms=20000,
                                         type=self.rng.choice(["try", "wait", "abandon"]))] * 2
        if self.has("local") and self.chance(0.2):  # as long as one runs all else waits for the end of its task
            makers += [lambda: self.make("local", how="hang", start_to_close_ms=60000,
                                         type=self.rng.choice(["try", "wait"]))]
        if self.has("signal"):
            makers += [lambda: self.make("receive", name="nobody sends this")]
        if depth < 4 and self.has("spawn"):
            makers += [lambda: self.make("all", branches=[self.endless_branch(depth + 1) for _ in range(2)]),
                       lambda: self.make("any", branches=[self.endless_branch(depth + 1) for _ in range(2)])]
            if self.has("child"):
                makers += [lambda: self.one_child(input={"steps": [self.endless(depth + 1)]})]
        if depth < 4 and self.has("scope"):
            makers += [lambda: self.make("scope", timeout_ms=self.forever(), steps=self.endless_branch(depth + 1))]
        return self.rng.choice(makers)()

    def endless_branch(self, depth):
        self.quiet += 1
        leftovers, self.leftovers = self.leftovers, False
        steps = self.steps(depth + 1, 2)[0] if self.chance(0.5) else []
        steps.append(self.endless(depth + 1))
        self.leftovers = leftovers
        self.quiet -= 1
        return steps

    # ---- sets

    def all_of(self, depth):
        count = self.rng.randint(2, 4)
        pairs = [self.steps(depth + 1, 3) for _ in range(count)]
        for _ in range(self.rng.randint(0, 2)):  # a later branch waits for an earlier one
            setter, waiter = sorted(self.rng.sample(range(count), 2))
            name, value = f"v{self.number()}", self.rng.randrange(1000)
            self.insert(pairs[setter], self.make("set", name=name, value=value), None)
            self.insert(pairs[waiter], self.make("await", name=name), value)
        return self.make("all", branches=[p[0] for p in pairs]), [p[1] for p in pairs]

    def insert(self, pair, step, gives):
        place = self.rng.randint(0, len(pair[0]))
        pair[0].insert(place, step)
        pair[1].insert(place, gives)

    def any_of(self, depth):
        count = self.rng.randint(2, 4)
        winner = self.rng.randrange(count)
        branches = [self.endless_branch(depth + 1) for _ in range(count)]
        branches[winner], value = self.steps(depth + 1, 2)
        return self.make("any", branches=branches), {"winner": winner, "value": value, "ended": []}

    def many(self, depth):
        pairs = [self.future(depth + 1) for _ in range(self.rng.randint(2, 5))]
        pairs = [p for p in pairs if p[0]["do"] != "scope"] or [self.timer(depth)]  # bad_child's
        wait = self.rng.choice(["each", "any", "group"] + (["select"] if self.has("select") else []))
        return self.make("many", wait=wait, start=[p[0] for p in pairs]), [p[1] for p in pairs]

    def scope(self, depth):
        kind = self.rng.randrange(4)
        if kind == 0:
            return self.shield(self.steps(depth + 1, 2))
        if kind == 1:
            steps, expected = self.steps(depth + 1, 2)
            return self.make("scope", timeout_ms=self.forever(), steps=steps), expected
        step = self.make("scope", steps=self.endless_branch(depth + 1))
        if kind == 2:
            step.update(timeout_ms=self.rng.randint(1, 60))
            return step, "timed out"
        step.update(cancel_ms=self.rng.randint(0, 40))
        return step, "cancelled"

    def sync(self, _depth):
        kind = self.rng.choice(["channel", "mutex", "semaphore", "wait_group"])
        count = self.rng.randint(1, 4)
        if kind == "channel":
            each = self.rng.randint(1, 5)
            step = self.make(kind, capacity=self.rng.choice([0, 1, 3]), senders=count, each=each,
                             receivers=self.rng.randint(1, 3))
            return step, {"received": count * each, "sum": sum(i * each + j for i in range(count) for j in range(each))}
        step = self.make(kind, count=count, ms=self.rng.choice([1, 1, 5]))
        if kind == "semaphore":
            step.update(permits=self.rng.randint(1, 3))
            return step, {"done": count, "fits": True}
        if kind == "mutex":
            return step, {"done": count, "alone": True}
        return step, {"done": count}

    # ---- small steps

    def wait(self, _depth):
        kind = self.rng.randrange(3)
        if kind == 0 or not self.has("signal"):
            return self.make("sleep", ms=self.rng.choice([1, 5, 30])), None
        if kind == 1:
            return self.make("await", name="nobody sets this", timeout_ms=self.rng.randint(1, 30)), "timed out"
        if self.dynamic:
            return self.make("sleep", ms=2), None
        return self.make("receive", name="nobody sends this", timeout_ms=self.rng.randint(1, 30)), "timed out"

    def check(self, _depth):
        makers = [lambda: (self.make("same"), None)]
        if self.has("values"):
            makers += [lambda: (self.make("random"), None), lambda: (self.make("now"), None),
                       lambda: (self.make("order"), None), lambda: (self.make("details", text="stirring"), None),
                       lambda: (self.make("info"), {"type": "KitchenSink", "sane": True})]
        if self.has("patch"):
            makers += [self.patch] * 2
        if self.has("side_effect"):
            makers += [lambda: (self.make("side_effect"), None), self.mutable] * 2
        if self.has("attributes"):
            makers += [self.attributes] * 2
        if self.has("memo"):
            makers += [self.memo]
        return self.rng.choice(makers)()

    def patch(self):
        name = f"p{self.rng.randrange(3)}"
        if self.chance(0.3):
            return self.make("patch", id=name, deprecate=True), None
        return self.make("patch", id=name), True

    def mutable(self):
        value = self.rng.randrange(3)
        return self.make("mutable_side_effect", id=f"m{self.rng.randrange(2)}", value=value), value

    def attributes(self):
        names = {"CustomKeywordField": ["a", "b", None], "CustomIntField": [1, -5, None], "CustomBoolField": [True, False],
                 "CustomDoubleField": [0.5, 2.25]}
        chosen = self.rng.sample(sorted(names), self.rng.randint(1, 3))
        given = {name: self.rng.choice(names[name]) for name in chosen}
        return self.make("attributes", set=given), given

    def memo(self):
        given = {f"memo{i}": self.value() for i in self.rng.sample(range(3), self.rng.randint(1, 3))}
        return self.make("memo", set=given), given

    # ---- what the client says

    def handled(self, depth=2):
        """The steps of a handler: they wait for nothing but what they start."""
        self.quiet += 1
        leftovers, self.leftovers = self.leftovers, False
        pair = self.steps(depth, 2)
        self.leftovers = leftovers
        self.quiet -= 1
        return pair

    def told(self, depth):
        """A signal that is awaited here, or one that is awaited at the end."""
        kind = self.rng.randrange(4)
        if kind == 0:
            name, value = f"v{self.number()}", self.rng.randrange(1000)
            self.calls.append({"call": "signal", "name": "set", "input": {"name": name, "value": value}})
            return self.make("await", name=name), value
        if kind == 1 and self.first_segment and not self.dynamic:
            name, values = f"r{self.number()}", [self.rng.randrange(1000) for _ in range(self.rng.randint(1, 3))]
            self.calls += [{"call": "signal", "name": name, "input": value} for value in values]
            return self.make("receive", name=name, count=len(values)), sum(values)
        key = f"k{self.number()}"
        if kind == 2 and self.dynamic:
            value = self.value()
            self.calls.append({"call": "signal", "name": key, "input": value})
            self.messages[key] = value
        else:
            steps, self.messages[key] = self.handled()
            self.calls.append({"call": "signal", "name": "act", "input": {"key": key, "steps": steps}})
        return self.expecting(key)

    def expecting(self, key):
        self.expect.append(key)
        if self.chance(0.3):
            return self.make("messages", keys=[key]), None
        return self.make("sleep", ms=1), None

    def asked(self, depth):
        key = f"k{self.number()}"
        if self.chance(0.2):
            self.messages[key] = self.value()
            self.calls.append({"call": "update", "name": key, "input": self.messages[key],
                               "gives": {"ok": self.messages[key]}})
            return self.expecting(key)
        if self.chance(0.2):
            self.calls.append({"call": "update", "name": "act", "input": {"key": key, "reject": True},
                               "gives": {"failed": "NotOnTheMenu"}})
            return self.make("sleep", ms=1), None
        steps, gives = self.handled()
        call = {"call": "update", "name": "act", "input": {"key": key, "steps": steps}, "gives": {"ok": gives}}
        if self.chance(0.3):
            call["input"]["fail"] = True
            call["gives"] = {"failed": "Dropped"}
        self.messages[key] = gives
        self.calls.append(call)
        return self.expecting(key)
