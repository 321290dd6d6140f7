package conversation

import (
	"cmp"
	"encoding/binary"
	"slices"
)

const (
	numberMax = 1<<53 - 1
	rangesMax = 1024
)

// Range of numbers, both ends included.
type Range struct{ From, Through uint64 }

// Set of numbers from 1 to 2^53-1: ranges that neither touch nor overlap, in order.
type Set []Range

// ReadSet judges the form of an encoded set. [CNV-32]
func ReadSet(data []byte) (Set, error) {
	var set Set
	next := uint64(1)
	for len(data) > 0 {
		gap, rest, err := shortVarint(data)
		if err != nil {
			return nil, err
		}
		more, rest, err := shortVarint(rest)
		if err != nil {
			return nil, err
		}
		// Neither is above 2^53-1, so that their sum fits.
		switch {
		case len(set) > 0 && gap == 0:
			return nil, faultf("MARK_INVALID", "a range that touches the one before")
		case next+gap+more > numberMax:
			return nil, faultf("MARK_INVALID", "a number above 2^53-1")
		case len(set) == rangesMax:
			return nil, faultf("MARK_INVALID", "more than %d ranges", rangesMax)
		}
		set = append(set, Range{next + gap, next + gap + more})
		next, data = next+gap+more+1, rest
	}
	return set, nil
}

// shortVarint refuses what is longer than it has to be, and what is above 2^53-1. [CNV-32] [CNV-36]
func shortVarint(data []byte) (uint64, []byte, error) {
	value, n := binary.Uvarint(data)
	switch {
	case n == 0:
		return 0, nil, faultf("MARK_INVALID", "a varint that does not end")
	case n < 0 || value > numberMax:
		return 0, nil, faultf("MARK_INVALID", "a number above 2^53-1")
	case n > 1 && data[n-1] == 0:
		return 0, nil, faultf("MARK_INVALID", "a varint longer than its shortest form")
	}
	return value, data[n:], nil
}

// Bytes of the set.
func (s Set) Bytes() []byte {
	var data []byte
	next := uint64(1)
	for _, r := range s {
		data = binary.AppendUvarint(binary.AppendUvarint(data, r.From-next), r.Through-r.From)
		next = r.Through + 1
	}
	return data
}

// Union of sets. [CNV-30]
func Union(sets ...Set) Set {
	ranges := slices.Concat(sets...)
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.From, b.From) })
	var merged Set
	for _, r := range ranges {
		if last := len(merged) - 1; last >= 0 && r.From <= merged[last].Through+1 {
			merged[last].Through = max(merged[last].Through, r.Through)
		} else {
			merged = append(merged, r)
		}
	}
	return merged
}

// Bounded fills the lowest gaps. [CNV-31]
func (s Set) Bounded() Set {
	surplus := len(s) - rangesMax
	if surplus <= 0 {
		return s
	}
	return append(Set{{s[0].From, s[surplus].Through}}, s[surplus+1:]...)
}

// Without the numbers of another set.
func (s Set) Without(other Set) Set {
	left := slices.Clone(s)
	for _, gone := range other {
		var parts Set
		for _, r := range left {
			if gone.Through < r.From || gone.From > r.Through {
				parts = append(parts, r)
				continue
			}
			if r.From < gone.From {
				parts = append(parts, Range{r.From, gone.From - 1})
			}
			if r.Through > gone.Through {
				parts = append(parts, Range{gone.Through + 1, r.Through})
			}
		}
		left = parts
	}
	return left
}

// Count of its numbers.
func (s Set) Count() uint64 {
	var count uint64
	for _, r := range s {
		count += r.Through - r.From + 1
	}
	return count
}

// State is what is known of a member and of a conversation.
type State struct {
	VisibleFrom, Newest uint64
	Read, Recalled      Set
	Mentioned           []Set
}

// Unread numbers, and those of them in which the member was called. [CNV-33]
func (s State) Unread() (unread, mentions Set) {
	if s.VisibleFrom <= s.Newest {
		unread = Set{{s.VisibleFrom, s.Newest}}
	}
	unread = unread.Without(Union(s.Read, s.Recalled))
	called := Union(s.Mentioned...)
	return unread, called.Without(called.Without(unread))
}

// JudgeMark refuses what the conversation does not have. [CNV-32]
func JudgeMark(read Set, deliveredThrough, newest uint64) error {
	highest := deliveredThrough
	if len(read) > 0 {
		highest = max(highest, read[len(read)-1].Through)
	}
	if highest == 0 || highest > newest {
		return faultf("MARK_INVALID", "%d of %d", highest, newest)
	}
	return nil
}
