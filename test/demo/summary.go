package main

import (
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"paygate/units"
)

// figures is the last line of output.
type figures struct {
	Seller      string      `json:"seller"`
	Buyer       string      `json:"buyer"`
	Bytes       units.Bytes `json:"bytes"`
	FreeBytes   units.Bytes `json:"sample_bytes"`
	SoldBytes   units.Bytes `json:"sold_bytes"`
	Price       string      `json:"price"`
	Paid        units.Msat  `json:"paid_msat"`
	Fees        units.Msat  `json:"fees_msat"`
	Received    units.Msat  `json:"received_msat"`
	Earned      units.Msat  `json:"earned_msat"`
	Credit      units.Msat  `json:"credit_msat"`
	CreditHeld  units.Msat  `json:"buyer_credit_msat"`
	Payments    int         `json:"payments"`
	SHA256OK    bool        `json:"sha256_ok"`
	PaidSeconds float64     `json:"paid_seconds"`
	FreeSeconds float64     `json:"free_seconds"`
}

func (d *demo) figures() figures {
	return figures{
		Seller: string(d.seller), Buyer: string(d.buyer), Bytes: d.size, Price: d.price.String(),
		FreeBytes: d.bill.Seller.SampleBytes, SoldBytes: d.bill.Seller.SoldBytes,
		Paid: d.bill.Buyer.Paid, Fees: d.bill.Buyer.Fees, Received: d.bill.Received, Earned: d.bill.Seller.Earned,
		Credit: d.bill.Seller.CreditOwed, CreditHeld: d.bill.Buyer.CreditHeld, Payments: d.bill.Payments,
		SHA256OK: d.verify == nil, PaidSeconds: seconds(d.paid), FreeSeconds: seconds(d.free),
	}
}

// summary prints the table, for people, and the figures.
func (s *screen) summary(d *demo) {
	f := d.figures()
	if s.human {
		fmt.Fprintln(s.out, "\n"+f.table())
	}
	s.line(f)
}

func (f figures) table() string {
	t := table.NewWriter()
	t.SetStyle(table.StyleRounded)
	t.Style().Format.Header = text.FormatDefault
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, Align: text.AlignRight, AlignHeader: text.AlignRight}})
	t.AppendHeader(table.Row{f.Seller + " sold to " + f.Buyer, "paygate"})
	t.AppendRows([]table.Row{
		{"bytes downloaded", f.Bytes},
		{"of these free, as a sample", f.FreeBytes},
		{"price", f.Price},
		{"files verified by SHA-256", yes(f.SHA256OK)},
	})
	t.AppendSeparator()
	t.AppendRows([]table.Row{
		{"paid by the buyer", f.Paid},
		{"routing fees on top", f.Fees},
		{"received by the seller's node", f.Received},
		{"earned: ceil((served - sample) x price)", f.Earned},
		{"credit left, as the seller says", f.Credit},
		{"credit left, as the buyer says", f.CreditHeld},
		{"payments", f.Payments},
	})
	t.AppendSeparator()
	t.AppendRows([]table.Row{
		{"time, paid", pace(f.PaidSeconds, f.Bytes)},
		{"time, free through the same proxies", pace(f.FreeSeconds, f.Bytes)},
	})
	return t.Render()
}

func yes(ok bool) string {
	if ok {
		return "all"
	}
	return "NO"
}

// pace prints a time and the speed that it means.
func pace(s float64, n units.Bytes) string {
	if s == 0 {
		return "-"
	}
	d := time.Duration(s * float64(time.Second)).Round(10 * time.Millisecond)
	return fmt.Sprintf("%s, %.1f MB/s", d, float64(n)/1e6/s)
}
