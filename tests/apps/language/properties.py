"""Properties with setters, static and class methods."""

from sostenuto import service, Persistent

@service
class Thermo:
    celsius: Persistent[float] = 20.0
    history: Persistent[list[float]] = []
    LIMIT = 100

    @property
    def fahrenheit(self) -> float:
        return self.celsius * 9 / 5 + 32

    @fahrenheit.setter
    def fahrenheit(self, f: float) -> None:
        self.celsius = (f - 32) * 5 / 9

    @staticmethod
    def clamp(v, lo=0, hi=100):
        return max(lo, min(hi, v))

    @classmethod
    def limit(cls):
        return cls.LIMIT

    def set(self, c: float):
        self.celsius = self.clamp(c, hi=self.limit())
        self.history.append(self.celsius)
        return self.fahrenheit

    def set_f(self, f: float):
        self.fahrenheit = f
        return round(self.celsius, 3)

    def avg(self):
        return sum(self.history) / len(self.history) if self.history else None


# >>> Thermo.avg()
# >>> Thermo.set(120)
# >>> Thermo.set_f(50)
# >>> Thermo.set(10.5)
# >>> Thermo.avg()
