package pay

import "paygate/units"

// claim is what one peer may get of an upload that many share. weight is what it pays, in msat per GiB; floor says that it
// pays the least that the rule asks; free that it pays nothing; room is how many bytes it can still take.
type claim struct {
	weight float64
	floor  bool
	free   bool
	room   int64
}

// shares is how a rule shares its upload: see config.SellRule.
type shares struct {
	upload     units.Bytes // per second
	auction    bool
	freeShare  int // percent
	floorShare int // percent
}

// divide gives total bytes to those that claim some. Those who do not pay get freeShare of it, one as much as the other;
// the others share the rest, in an auction in proportion to what they pay, except that those who pay the floor get
// floorShare together, if that is more. What one cannot take, and what is kept for nobody, goes to the others. The sum is
// total, unless there is no room for it.
func divide(total int64, s shares, claims []claim) []int64 {
	got := make([]int64, len(claims))
	var free, payers []int
	for i, c := range claims {
		switch {
		case c.room <= 0:
		case c.free:
			free = append(free, i)
		default:
			payers = append(payers, i)
		}
	}
	forFree := int64(0)
	if len(free) > 0 {
		forFree = total * int64(s.freeShare) / 100
	}
	equal := func(int) float64 { return 1 }
	left := pour(total-forFree, payers, weigh(s, claims, payers), claims, got)
	left = pour(forFree+left, free, equal, claims, got)
	pour(left, payers, weigh(s, claims, payers), claims, got)
	return got
}

// weigh returns the weight of each paying claim.
func weigh(s shares, claims []claim, payers []int) func(int) float64 {
	if !s.auction {
		return func(int) float64 { return 1 }
	}
	var bids, floors float64
	for _, i := range payers {
		if claims[i].floor {
			floors += claims[i].weight
		} else {
			bids += claims[i].weight
		}
	}
	lift := 1.0
	if share := float64(s.floorShare) / 100; bids > 0 && floors > 0 && floors < share*(bids+floors) {
		lift = share / (1 - share) * bids / floors
	}
	return func(i int) float64 {
		if claims[i].floor {
			return claims[i].weight * lift
		}
		return claims[i].weight
	}
}

// pour fills those in who by weight, as far as there is room, and returns what is left over.
func pour(total int64, who []int, weight func(int) float64, claims []claim, got []int64) int64 {
	for total > 0 && len(who) > 0 {
		var sum float64
		for _, i := range who {
			sum += weight(i)
		}
		var thirsty []int
		pool := total
		for _, i := range who {
			part := min(int64(float64(pool)*weight(i)/sum), claims[i].room-got[i], total)
			got[i] += part
			total -= part
			if got[i] < claims[i].room {
				thirsty = append(thirsty, i)
			}
		}
		if len(thirsty) == len(who) { // nobody was full: what is left is rounding
			part := min(total, claims[who[0]].room-got[who[0]])
			got[who[0]] += part
			return total - part
		}
		who = thirsty
	}
	return total
}
