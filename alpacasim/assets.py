"""The securities the venue lists: a default set, to which a scenario may add."""

import uuid
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

_NAMESPACE = uuid.UUID("5b1a2f3e-6c0d-4f57-9f0e-1f1c3f0a7d11")

# symbol, exchange, level around which the seeded price moves, name
_LISTED = """
AAPL NASDAQ 268.50 Apple Inc.
ABBV NYSE 218.00 AbbVie Inc.
ACGL NASDAQ 88.90 Arch Capital Group Ltd.
ADBE NASDAQ 335.00 Adobe Inc.
AMD NASDAQ 240.00 Advanced Micro Devices, Inc.
AMZN NASDAQ 245.00 Amazon.com, Inc.
APH NYSE 138.00 Amphenol Corporation
AVGO NASDAQ 355.00 Broadcom Inc.
BA NYSE 198.00 Boeing Company
BAC NYSE 53.40 Bank of America Corporation
BKR NASDAQ 47.80 Baker Hughes Company
BMY NYSE 46.60 Bristol-Myers Squibb Company
CAT NYSE 565.00 Caterpillar, Inc.
CFG NYSE 51.40 Citizens Financial Group Inc.
COP NYSE 88.00 ConocoPhillips
COST NASDAQ 930.00 Costco Wholesale Corporation
CRM NYSE 245.00 Salesforce, Inc.
CSCO NASDAQ 72.00 Cisco Systems, Inc.
CTVA NYSE 63.00 Corteva, Inc.
CVX NYSE 154.00 Chevron Corporation
DIS NYSE 111.00 Walt Disney Company
DVN NYSE 32.70 Devon Energy Corporation
EIX NYSE 55.60 Edison International
EQT NYSE 54.60 EQT Corporation
EXE NASDAQ 104.50 Expand Energy Corporation
F NYSE 13.10 Ford Motor Company
FITB NASDAQ 42.60 Fifth Third Bancorp
FTNT NASDAQ 85.60 Fortinet, Inc.
GE NYSE 306.00 GE Aerospace
GOOGL NASDAQ 284.00 Alphabet Inc. Class A
GS NYSE 785.00 Goldman Sachs Group, Inc.
HD NYSE 375.00 Home Depot, Inc.
HST NASDAQ 17.15 Host Hotels & Resorts, Inc.
IBKR NASDAQ 70.20 Interactive Brokers Group, Inc.
IBM NYSE 306.00 International Business Machines Corporation
INTC NASDAQ 38.00 Intel Corporation
IWM ARCA 241.00 iShares Russell 2000 ETF
JNJ NYSE 187.00 Johnson & Johnson
JPM NYSE 312.00 JPMorgan Chase & Co.
KO NYSE 69.50 Coca-Cola Company
LLY NYSE 940.00 Eli Lilly and Company
MA NYSE 552.00 Mastercard Incorporated
MCD NYSE 300.00 McDonald's Corporation
META NASDAQ 618.00 Meta Platforms, Inc.
MRK NYSE 86.00 Merck & Company, Inc.
MSFT NASDAQ 497.00 Microsoft Corporation
NFLX NASDAQ 1097.00 Netflix, Inc.
NKE NYSE 61.00 Nike, Inc.
NVDA NASDAQ 190.50 NVIDIA Corporation
ORCL NYSE 243.00 Oracle Corporation
PDD NASDAQ 136.50 PDD Holdings Inc.
PEP NASDAQ 142.00 PepsiCo, Inc.
PFE NYSE 24.50 Pfizer, Inc.
PG NYSE 147.00 Procter & Gamble Company
PLD NYSE 125.00 Prologis, Inc.
QCOM NASDAQ 172.80 QUALCOMM Incorporated
QQQ NASDAQ 611.00 Invesco QQQ Trust, Series 1
SPY ARCA 671.00 SPDR S&P 500 ETF Trust
SYF NYSE 74.00 Synchrony Financial
T NYSE 24.60 AT&T Inc.
TSLA NASDAQ 446.00 Tesla, Inc.
UBER NYSE 93.20 Uber Technologies, Inc.
V NYSE 337.00 Visa Inc.
VZ NYSE 39.80 Verizon Communications Inc.
WFC NYSE 86.60 Wells Fargo & Company
WMT NYSE 102.00 Walmart Inc.
XOM NYSE 114.50 Exxon Mobil Corporation
"""


@dataclass(frozen=True, slots=True)
class Asset:
    symbol: str
    name: str
    exchange: str = "NASDAQ"
    asset_class: str = "us_equity"
    status: str = "active"
    tradable: bool = True
    marginable: bool = True
    shortable: bool = True
    fractionable: bool = True
    level: Decimal = Decimal(100)
    born_as: str = ""  # the symbol of its first days, from which its id is made

    @property
    def id(self) -> str:
        return _asset_id(self.born_as or self.symbol)

    @property
    def is_crypto(self) -> bool:
        return self.asset_class == "crypto"

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "attributes": ["fractional_eh_enabled"] if self.fractionable and not self.is_crypto else [],
            "class": self.asset_class,
            "easy_to_borrow": self.shortable,
            "exchange": self.exchange,
            "fractionable": self.fractionable,
            "id": self.id,
            "maintenance_margin_requirement": 30 if self.marginable else 100,
            "margin_requirement_long": "30" if self.marginable else "100",
            "margin_requirement_short": "30" if self.shortable else "100",
            "marginable": self.marginable,
            "name": self.name,
            "shortable": self.shortable,
            "status": self.status,
            "symbol": self.symbol,
            "tradable": self.tradable,
        }
        if self.is_crypto:
            return document | {
                "min_order_size": "0.0001",
                "min_trade_increment": "0.000000001",
                "price_increment": "0.01",
            }
        document["borrow_status"] = "easy_to_borrow" if self.shortable else "hard_to_borrow"
        return dict(sorted(document.items()))


@cache
def _asset_id(symbol: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, symbol))


def _defaults() -> list[Asset]:
    listed = []
    for line in _LISTED.strip().splitlines():
        symbol, exchange, level, name = line.split(" ", 3)
        listed.append(Asset(symbol, name, exchange, level=Decimal(level)))
    return [
        *listed,
        Asset("OCGN", "Ocugen, Inc.", fractionable=False, shortable=False, level=Decimal("1.40")),
        Asset("RGC", "Regencell Bioscience Holdings", tradable=False, shortable=False, level=Decimal("17.00")),
        Asset("TWTR", "Twitter, Inc.", "NYSE", status="inactive", tradable=False, level=Decimal("53.70")),
        Asset(
            "BTC/USD", "Bitcoin / US Dollar", "CRYPTO", "crypto",
            marginable=False, shortable=False, level=Decimal(101500),
        ),
    ]  # fmt: skip


class AssetRegistry:
    """Assets by symbol and by id; crypto also under its name without the slash."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, Asset] = {}
        self._by_key: dict[str, Asset] = {}
        self.added: dict[str, Asset] = {}
        for asset in _defaults():
            self._index(asset)

    def _index(self, asset: Asset) -> None:
        self._by_symbol[asset.symbol] = asset
        for key in (asset.symbol, asset.symbol.replace("/", ""), asset.id):
            self._by_key[key] = asset

    def add(self, asset: Asset) -> None:
        self.added[asset.symbol] = asset
        self._index(asset)

    def find(self, symbol_or_id: str) -> Asset | None:
        return self._by_key.get(symbol_or_id) or self._by_key.get(symbol_or_id.upper())

    def all(self) -> list[Asset]:
        return sorted(self._by_symbol.values(), key=lambda a: (a.asset_class, a.exchange, a.symbol))
