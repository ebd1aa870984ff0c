#!/usr/bin/env python3
"""Makes the sample events beside: NAME.jsonl shows every tag of the catalog NAME at least once. Made-up customers, the same ones each time.

usage: make.py [FOLDER]    the folder to write to, by default this one

Try them:  tagd simulate --catalog deploy/catalogs/retail.json --until 2026-12-01T00:00:00+08:00 deploy/catalogs/samples/retail.jsonl"""
import json
import os
import random
import sys
from datetime import datetime, timedelta, timezone

ZONE = timezone(timedelta(hours=8))
BEGIN = datetime(2025, 9, 1, tzinfo=ZONE)


class Customer:
    """Says what happens on which day; the minute of the day is drawn from the customer's own numbers."""

    def __init__(self, book, subject, source="app"):
        self.book, self.subject, self.source = book, subject, source
        self.random = random.Random(subject)

    def at(self, day, type, source=None, n=1, **data):
        for _ in range(n):
            minute = self.random.randrange(9 * 60, 22 * 60)
            when = BEGIN + timedelta(days=day, minutes=minute, seconds=self.random.randrange(60))
            self.book.append((when, self.subject, source or self.source, type, data))
        return self

    def order(self, day, amount, **data):
        more = {"order_id": f"{self.subject}-{day}", "category": "beauty", "coupon": False, "launch": False, "margin": "normal", **data}
        return self.at(day, "order.paid", amount=amount, **more)

    def every(self, begin, end, step, type, **data):
        for day in range(begin, end, step):
            self.at(day, type, **data)
        return self

    def knows(self, day, **attributes):
        return self.at(day, "profile.updated", source="crm", attributes=attributes)

    def contact(self, day, channel, purpose, **more):
        return self.at(day, "contact.sent", source="wecom", by="li", channel=channel, purpose=purpose, **more)


def instant(day, hour=10):
    return (BEGIN + timedelta(days=day, hours=hour)).isoformat()


def proposal(subject, n):
    return f"proposal:{subject}:{n}"


def retail(book):
    def new(subject, source="app"):
        return Customer(book, subject, source)
    # loyal, on Douyin: 15,000 in the year, launches
    c = new("R01", "douyin").knows(1, region="华东", gender="female", birthday="1994-05-20", occupation="designer")
    c.order(2, 4000, launch=True, category="skincare").order(90, 5500, launch=True, category="skincare").order(170, 6000, launch=True, category="beauty")
    c.every(3, 300, 5, "login").every(10, 290, 14, "live.view", room_id="r1", watch_seconds=900)
    c.contact(171, "phone", "deep").contact(180, "community", "community").at(180, "contact.answered", response_seconds=1800).at(190, "referral.made")
    # of middle value, in the store, with coupons: dormant, won back within a month
    c = new("R02", "store").knows(5, region="华南", gender="male", birthday="1978/11/02", occupation="teacher")
    c.order(5, 2000, coupon=True).order(30, 2500, coupon=True, category="home").order(60, 1500, category="home").at(62, "login")
    c.contact(95, "sms", "win-back").order(110, 300, coupon=True).at(112, "login")
    # dormant and lost: a goal that is missed
    new("R03", "tmall").knows(8, region="华北", gender="female", birthday="2008-12-01").order(8, 120, coupon=True).at(9, "login")
    # newcomers with an onboarding: three contacts in the first week, then the cap
    for i, day in enumerate((20, 120, 240)):
        c = new(f"R{10 + i}", ("mini-program", "website", "store")[i]).at(day, "login").contact(day + 1, "wecom", "onboarding").contact(day + 3, "wecom", "onboarding")
        c.contact(day + 6, "sms", "onboarding").order(day + 7, 200 + 50 * i, margin="high").at(day + 8, "page.view", page="new")
    # clicks of campaigns: high, middle, low, none
    for i, (clicks, orders) in enumerate(((4, 1), (12, 1), (25, 1), (8, 0))):
        c = new(f"R{20 + i}", "wechat").at(30 + i, "campaign.clicked", n=clicks, campaign="autumn").at(30 + i, "campaign.joined", campaign="autumn")
        if orders:
            c.order(35 + i, 180, category="food")
    # answers: fast, normal, slow
    for i, seconds in enumerate((600, 30000, 200000)):
        new(f"R{30 + i}", "wecom").at(40, "login").contact(41, "wecom", "news").at(42, "contact.answered", response_seconds=seconds)
    # shares of high margin; after-sales
    new("R40", "jd").order(50, 900, margin="high", category="audio").order(51, 100).at(60, "inquiry.made", topic="after-sales", n=2)
    new("R41", "jd").order(50, 300, margin="high").order(51, 700).order(52, 10)
    new("R42", "jd").order(50, 500).at(55, "inquiry.made", topic="after-sales", n=3).at(57, "complaint.opened").at(58, "complaint.resolved")
    # by hand: a benchmark, an opinion leader
    new("R50", "event").knows(60, region="华中", birthday="1960-02-29", occupation="doctor").order(60, 12000, margin="high").at(61, "tag.assigned", source="crm",
        dimension="value.strategic", tag="benchmark", by="wang", reason="reference in the region")
    new("R51", "xiaohongshu").knows(61, gender="female", birthday="1985-07-07").at(61, "login").at(62, "tag.assigned", source="crm",
        dimension="value.strategic", tag="opinion-leader", by="wang", reason="120,000 followers", until=instant(240))
    # a valued customer who falls silent, is never contacted, and comes back after 200 days
    new("R52", "store").knows(70, birthday="2003-03-03").order(70, 11000).at(75, "login").order(280, 50).at(281, "login")
    # rhythms of orders, which the churn model judges
    for i, gap in enumerate((7, 21, 60)):
        c = new(f"R{60 + i}", ("taobao", "app", "counter")[i]).knows(3, birthday=f"{1965 + 14 * i}-06-0{i + 1}")
        for k in range(6):
            c.order(4 + k * gap, 260 + 40 * i, category=("tea", "tea", "snacks")[k % 3])
    # bought once, over a year ago, and one order is taken back
    new("R70", "store").order(1, 800).at(400, "page.view", page="home", n=6)
    new("R71", "website").order(100, 3200).at(103, "order.refunded", order_id="R71-100", amount=3200).at(104, "chat.message", direction="inbound", conversation_id="k1", length=80)


def rfm(book):
    def new(subject, source="website"):
        return Customer(book, subject, source)
    # every quadrant, high value, potential, churn risk
    new("F01").knows(1, industry="软件开发", employees=1500, revenue=320000000).order(2, 20000, category="licence").order(8, 22000, category="training").order(12, 21000, category="support") \
        .order(16, 20000, category="licence").order(20, 21000, category="licence")
    new("F02").knows(3, industry="制造业", employees=400, revenue=50000000).order(3, 52000).order(12, 1000)
    new("F03").knows(4, industry="零售", employees=30, revenue=4000000).order(4, 105000)
    new("F04").order(5, 90000).order(205, 20000)
    new("F05").order(6, 30000).order(6, 30000).order(30, 1000)
    new("F06").order(7, 800).order(150, 900).order(152, 700)
    new("F07").order(8, 500).order(8, 700)
    new("F08").order(9, 60000).order(110, 60000).order(205, 300).order(235, 500).order(260, 450)
    # needs, by sales; one under its old name
    for i, (tag, reason) in enumerate((("procurement", "tender"), ("purchase", "tender, old form"), ("consulting", "talk"), ("co-development", "project"))):
        new(f"F{10 + i}").at(20 + i, "inquiry.made", topic="price").at(22 + i, "tag.assigned", source="crm", dimension="need.type", tag=tag, by="sales", reason=reason)
    new("F14", "phone").at(25, "inquiry.made", topic="delivery").at(26, "tag.assigned", source="crm", dimension="need.response", tag="within-2h", by="sales", reason="contract") \
        .at(60, "tag.cleared", source="crm", dimension="need.response", by="sales")
    # visits and talks, online and elsewhere
    new("F20").at(30, "page.view", page="product", n=4).at(31, "chat.message", direction="inbound", conversation_id="k1", length=120).at(31, "chat.message", direction="outbound", conversation_id="k1", length=60)
    new("F21", "phone").at(32, "inquiry.made", topic="price", n=2).at(33, "inquiry.made", topic="price", source="website")
    # orders by the dozen: proposed as frequent, approved, rejected, and nobody decides
    for i, decision in enumerate(("approved", "rejected", None)):
        c = new(f"F{30 + i}", "app")
        for k in range(6):
            c.order(40 + 3 * k, 2500 + 500 * i, category="parts")
        if decision:
            c.at(62, "tag.reviewed", source="crm", proposal=proposal(c.subject, 1), decision=decision, by="wang")
    # agreements, complaints
    new("F40", "store").at(50, "agreement.signed", until=instant(300)).order(55, 26000).at(280, "contact.sent", by="li", channel="visit", purpose="renewal")
    new("F41", "store").order(10, 9000).order(100, 9500).order(200, 9000).order(300, 8000).order(390, 8000)
    new("F42", "store").order(60, 4000).at(90, "complaint.opened").at(99, "complaint.resolved").at(200, "complaint.opened")
    new("F43", "website").at(70, "login").at(75, "agreement.signed", until=instant(90))
    new("F44", "website").at(70, "tag.assigned", source="crm", dimension="status.stage", tag="strategic", by="sales", reason="board's decision", until=instant(200)).at(71, "login")
    # rhythms of orders, which the churn model judges
    for i, gap in enumerate((7, 30, 75)):
        c = new(f"F{50 + i}", "app")
        for k in range(7):
            c.order(2 + k * gap, 6000 + 900 * i, category=("parts", "tools")[k % 2])
    for i in range(8):
        new(f"F{60 + i}", ("app", "store")[i % 2]).order(15 * i + 10, 1500 * (i + 1)).at(15 * i + 12, "login").at(15 * i + 40, "page.view", page="home")


def accounts(book):
    def new(subject, source="website"):
        return Customer(book, subject, source)
    # high value: visited each month, then silent: a key loss; another comes back
    c = new("A01").knows(1, industry="互联网", region="浙江", scale="大型", employees=2600, revenue=900000000, intent="强", need="明确", customer_since="2021/3/1")
    c.order(5, 260000, category="servers").order(60, 280000, category="servers").every(8, 120, 9, "chat.message", direction="inbound", conversation_id="k", length=200)
    c.contact(10, "visit", "review").contact(41, "visit", "review").contact(75, "phone", "news").contact(300, "visit", "case review")
    c = new("A02").knows(2, industry="银行", region="北京", scale="large", employees=9000, revenue=5000000000, intent="strong", need="strong", customer_since="2019-10-15")
    c.order(20, 620000, category="licences").at(25, "login").contact(40, "visit", "review").at(150, "login", n=2).order(160, 30000, category="support")
    # of middle value: a call each quarter
    c = new("A03").knows(3, industry="制造", region="江苏", scale="中型", employees=420, revenue=80000000, intent="low", need="strong", customer_since="2023年10月15日")
    c.order(10, 60000, category="tools").order(40, 70000, category="tools").contact(45, "phone", "satisfaction").every(46, 300, 25, "login").order(200, 30000, category="parts")
    # low value: automated; a vague need
    new("A04").knows(4, industry="education", region="四川", scale="small", employees=18, revenue=2000000, intent="一般", need="模糊").order(30, 4000).every(31, 200, 30, "login")
    # attributes that contradict each other, and missing ones
    new("A05").knows(5, industry="finance", region="上海", scale="small", employees=12, revenue=150000000).at(6, "inquiry.made", topic="price").knows(40, employees=1200)
    new("A06").at(7, "inquiry.made", topic="price").knows(8, industry="航天").knows(90, region="陕西", scale="mid")
    # overdue payments
    new("A07").knows(9, industry="医院", region="广东", scale="mid", employees=800, revenue=60000000).order(10, 120000).at(50, "payment.overdue").at(64, "payment.settled").every(20, 420, 30, "login")
    # cycles of purchases
    for i, (gap, n) in enumerate(((7, 20), (30, 12), (90, 5), (180, 3))):
        c = new(f"A{10 + i}").knows(10 + i, industry="软件", region=("湖北", "辽宁", "云南", "福建")[i], scale=("mid", "small", "mid", "large")[i], employees=150 + 100 * i, revenue=20000000)
        for k in range(n):
            c.order(12 + i + k * gap, 3000 + 2000 * i, category=("paper", "ink")[k % 3 == 2])
    # trends: more and more, less and less, steady
    for i in range(3):
        c = new(f"A{20 + i}").knows(20, industry="retail", region="广州", scale="small", employees=40, revenue=9000000)
        for quarter in range(4):
            for k in range((2 + 3 * quarter, 12 - 3 * quarter, 6)[i]):
                c.at(25 + 90 * quarter + 7 * k, "login")
                c.order(26 + 90 * quarter + 7 * k, 900, category="paper")
    for i in range(12):
        c = new(f"A{30 + i}").knows(30 + i, industry=("IT", "保险", "工业", "培训")[i % 4], region=("山东", "重庆", "天津", "新疆")[i % 4], scale=("大", "中", "小", "中")[i % 4], employees=60 * (i + 1), revenue=12000000 * (i + 1),
                                    customer_since=f"2024.{i + 1}.{2 * i + 1}")
        c.at(40 + i, "inquiry.made", topic="price").order(50 + 3 * i, 9000 * (i + 1), category=("servers", "tools")[i % 2]).contact(60 + i, ("visit", "phone")[i % 2], "review")


def loyalty(book):
    def new(subject, source="app"):
        return Customer(book, subject, source)
    # from a first order to loyal: a referral
    c = new("L01").knows(1, birthday="1990-12-24").order(3, 3500).contact(6, "phone", "follow-up").order(60, 3800).order(150, 3900).at(155, "referral.made").every(10, 330, 12, "community.post").order(240, 5200)
    c.at(156, "feedback.rated", score=10).at(160, "benefit.granted").at(170, "benefit.used").contact(200, "phone", "thanks")
    # loyal by four orders in a quarter; then silent
    c = new("L02")
    for k in range(4):
        c.order(10 + 15 * k, 2800)
    c.at(20, "campaign.joined", campaign="a").at(21, "chat.message", direction="inbound", conversation_id="k", length=40)
    # potential: an order in each quarter; the mean order goes up and down and stays
    c = new("L03").knows(5, birthday="1988/03/15")
    for k, amount in enumerate((1000, 1600, 1200, 1250)):
        c.order(12 + 90 * k, amount)
    c.contact(20, "wecom", "care").at(200, "feedback.rated", score=7)
    # silent and price-sensitive; silent and not
    new("L04").order(15, 150, coupon=True).order(17, 90, coupon=True)
    new("L05").order(16, 220).at(18, "login")
    # complaints
    c = new("L06").order(20, 400).contact(22, "phone", "follow-up").at(30, "complaint.opened").at(33, "complaint.resolved").at(60, "complaint.opened").at(64, "complaint.resolved").at(65, "feedback.rated", score=3)
    c.at(70, "login")
    # service-minded, technical, and technical by a person's word
    new("L07").at(40, "inquiry.made", topic="service", n=2).at(41, "inquiry.made", topic="after-sales").at(80, "login")
    new("L08").at(40, "inquiry.made", topic="technical", n=3).at(80, "login")
    new("L09").order(40, 300, coupon=True).at(45, "tag.assigned", source="crm", dimension="need.style", tag="technical", by="li", reason="an engineer", until=instant(120))
    # planned contacts: met, late, forgotten
    new("L10").at(50, "login").at(51, "contact.planned", source="crm", due=instant(55)).contact(55, "phone", "planned").at(56, "contact.planned", source="crm", due=instant(70))
    c = new("L11").at(50, "login").at(51, "contact.planned", source="crm", due=instant(60)).at(52, "contact.planned", source="crm", due=instant(58)).contact(64, "phone", "planned")
    new("L12").at(60, "contact.planned", source="crm", due=instant(62)).at(60, "login")
    # a customer of long standing, with an anniversary and a birthday
    c = new("L13").knows(2, birthday="1975-08-08").order(2, 900).every(20, 430, 40, "login").order(100, 700).at(130, "benefit.granted").at(131, "feedback.rated", score=9)
    # taking part
    for i, n in enumerate((7, 3, 1)):
        new(f"L{20 + i}").at(70, "campaign.joined", campaign="spring").at(72, "community.post", n=n).at(75, "order.refunded", order_id="x", amount=1).order(74, 130 + i)
    # silent and back, silent and gone
    new("L30").order(30, 260).at(150, "login").order(151, 180)
    new("L31").order(31, 240)
    # long-term care that is answered, and one that isn't
    new("L32").order(33, 500).at(230, "login")
    new("L33").order(34, 500)
    # rhythms of orders, which the churn model judges
    for i, gap in enumerate((7, 25, 70)):
        c = new(f"L{40 + i}")
        for k in range(6):
            c.order(5 + k * gap, 310 + 60 * i, coupon=i == 2)
    for i in range(8):
        new(f"L{50 + i}", ("app", "store")[i % 2]).knows(60, birthday=f"19{80 + i}-0{i + 1}-1{i}").order(10 * i + 60, 140 * (i + 1)).at(10 * i + 66, "login").at(10 * i + 80, "feedback.rated", score=(6, 8, 10)[i % 3])


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for make in (retail, rfm, accounts, loyalty):
        book, counts = [], {}
        make(book)
        book.sort(key=lambda entry: entry[:2])
        with open(os.path.join(folder, make.__name__ + ".jsonl"), "w") as file:
            for when, subject, source, type, data in book:
                counts[subject] = counts.get(subject, 0) + 1
                event = {"specversion": "1.0", "id": f"{subject}-{counts[subject]}", "source": source, "type": type, "subject": subject, "time": when.isoformat(), "data": data}
                file.write(json.dumps(event, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
