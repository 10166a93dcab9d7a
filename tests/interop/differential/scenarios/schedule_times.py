# SPDX-License-Identifier: Apache-2.0
"""When schedules come: random specifications, the same on both servers in one run. The seed is in the name of each step;
DIFFERENTIAL_SEED repeats it."""
import datetime
import os
import random

from google.protobuf.timestamp_pb2 import Timestamp

from frame import scenario, seconds

SEED = int(os.environ.get("DIFFERENTIAL_SEED") or random.randrange(1_000_000))
ZONES = ["", "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago",
         "Africa/Casablanca", "Pacific/Apia", "Asia/Beirut", "America/Havana", "Europe/Dublin", "Asia/Tehran"]
MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
          "december"]
DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
FIELDS = [("second", 0, 59, None), ("minute", 0, 59, None), ("hour", 0, 23, None), ("day_of_month", 1, 31, None),
          ("month", 1, 12, MONTHS), ("day_of_week", 0, 7, DAYS), ("year", 2024, 2035, None)]


class Dice(random.Random):
    def value(self, low, high, names):
        number = self.randint(low, high)
        if names and self.random() < 0.3:
            return names[(number - low) % len(names)][:self.randint(3, 9)]
        return str(number)

    def pair(self, low, high):
        return sorted((self.randint(low, high), self.randint(low, high)))

    def field(self, low, high, names):
        """One field in words."""
        first, last = self.pair(low, high)
        one = self.value(low, high, names)
        return self.choices(["*", f"*/{self.randint(1, high)}", one, f"{first}-{last}", f"{first}-{last}/{self.randint(1, 7)}",
                             f"{one}/{self.randint(1, 9)}", f"{one},{first},{last}"], [8, 2, 4, 2, 2, 1, 1])[0]

    def calendar(self):
        return {name: self.field(low, high, names) for name, low, high, names in FIELDS if self.random() < 0.5}

    def cron(self):
        fields = [self.field(low, high, names) for _, low, high, names in FIELDS[1:6]]
        if self.random() < 0.3:
            fields.append(self.field(2024, 2040, None))
            if self.random() < 0.6:
                fields.insert(0, self.field(0, 59, None))
        words = " ".join(fields)
        return self.choice([words] * 6 + ["@daily", "@hourly", "@monthly", "@every 90m", "@every 36h/5h", "@every 1d"])

    def structured(self):
        result = {}
        for name, low, high, _ in FIELDS:
            if name != "year" or self.random() < 0.5:  # without a value the real server looks for one for minutes
                high = 6 if name == "day_of_week" else high
                result[name] = [{"start": first, "end": last if self.random() < 0.5 else 0, "step": self.choice([0, 0, 0, 2, 5])}
                                for first, last in (self.pair(low, high) for _ in range(self.randint(1, 3)))]
        return result

    def moment(self):
        result = Timestamp()
        result.FromDatetime(datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=self.randrange(6 * 365 * 86400)))
        return result

    def spec(self):
        spec, kind = {}, self.random()
        if kind < 0.5:
            spec["cron_string"] = [self.cron() for _ in range(self.choice([1, 1, 2]))]
        if 0.4 < kind < 0.7:
            spec["calendar"] = [self.calendar() for _ in range(self.choice([1, 1, 2]))]
        if 0.6 < kind < 0.85:
            spec["structured_calendar"] = [self.structured() for _ in range(self.choice([1, 2]))]
        if kind > 0.8:
            spec["interval"] = [{"interval": seconds(self.choice([7, 60, 3600, 86400, 100000]))}]
        if self.random() < 0.3:  # not all of a day: the real server would look for a moment until it is asked to stop
            spec["exclude_calendar"] = [dict(self.calendar(), hour=f"{self.randint(0, 11)}-{self.randint(12, 20)}")]
        for bound in ("start_time", "end_time"):
            if self.random() < 0.2:
                spec[bound] = self.moment()
        spec["timezone_name"] = self.choice(ZONES)
        return spec


async def times(p, part):
    dice = Dice(f"{SEED} {part}")
    for n in range(20):
        spec, start = dice.spec(), dice.moment()
        end = Timestamp(seconds=start.seconds + 365 * 86400)
        name = f"s{n}-{p.ending}"
        await p.ask("CreateSchedule", schedule_id=name, request_id="r", schedule={"spec": spec, "state": {"paused": True}})
        answer = await p.ask("ListScheduleMatchingTimes", schedule_id=name, start_time=start, end_time=end)
        p.note(f"seed {SEED}, part {part}, number {n}", str(spec), *(t.ToJsonString() for t in answer.start_time))
        await p.ask("DeleteSchedule", schedule_id=name)


@scenario
async def schedule_times_1(p):
    """Twenty random specifications."""
    await times(p, 1)


@scenario
async def schedule_times_2(p):
    """Twenty more."""
    await times(p, 2)


@scenario
async def schedule_times_3(p):
    """Twenty more."""
    await times(p, 3)


@scenario
async def schedule_times_4(p):
    """Twenty more."""
    await times(p, 4)


@scenario
async def schedule_times_5(p):
    """Twenty more."""
    await times(p, 5)
