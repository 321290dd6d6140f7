package conversation

// Index of a timeline: section 23.3.
type Index struct {
	FirstSeq, Seq uint64
	Conversations []Indexed
	// Of the events that are told whole.
	EventSeqs []uint64
	// What it counts for in a window.
	WindowBytes uint64
}

// Indexed messages of one conversation.
type Indexed struct {
	ID         string
	Told, Read Set
}

const (
	indexEventsMax        = 65_536
	indexConversationsMax = 256
)

func malformed(why string) error { return faultf("INDEX_MALFORMED", "%s", why) }

// ReadIndex judges the form of the content of an Index frame. [CAT-5] [CAT-6] [CAT-8]
func ReadIndex(data []byte) (*Index, error) {
	index := &Index{}
	told := uint64(0)
	for len(data) > 0 {
		number, value, rest, err := next(data)
		if err != nil {
			return nil, err
		}
		data = rest
		switch number {
		case 1:
			index.Seq = value.number
		case 2:
			index.FirstSeq = value.number
		case 3:
			one, err := readIndexed(value.bytes)
			if err != nil {
				return nil, err
			}
			if last := len(index.Conversations); last > 0 && one.ID <= index.Conversations[last-1].ID {
				return nil, malformed("ids that do not rise")
			}
			told += one.Told.Count()
			index.Conversations = append(index.Conversations, *one.Indexed)
			index.WindowBytes += one.size
		case 4:
			seq, size, err := readDelivered(value.bytes)
			if err != nil {
				return nil, err
			}
			index.EventSeqs = append(index.EventSeqs, seq)
			index.WindowBytes += size
		}
	}
	return index, index.judge(told)
}

func (i *Index) judge(told uint64) error {
	if i.FirstSeq < 1 || i.Seq < i.FirstSeq || i.Seq-i.FirstSeq >= indexEventsMax {
		return malformed("it covers too little or too much")
	}
	if len(i.Conversations) < 1 || len(i.Conversations) > indexConversationsMax {
		return malformed("it names too few or too many")
	}
	before := i.FirstSeq - 1
	for _, seq := range i.EventSeqs {
		if seq <= before || seq > i.Seq {
			return malformed("events that do not rise within it")
		}
		before = seq
	}
	if told+uint64(len(i.EventSeqs)) > i.Seq-i.FirstSeq+1 {
		return malformed("more than it covers")
	}
	return nil
}

type sized struct {
	*Indexed
	size uint64
}

func readIndexed(data []byte) (*sized, error) {
	one := &sized{Indexed: &Indexed{}}
	for len(data) > 0 {
		number, value, rest, err := next(data)
		if err != nil {
			return nil, err
		}
		data = rest
		one.size += uint64(len(value.bytes))
		switch number {
		case 1:
			one.ID = string(value.bytes)
		case 2:
			if one.Told, err = ReadSet(value.bytes); err != nil {
				return nil, malformed(err.Error())
			}
		case 3:
			if one.Read, err = ReadSet(value.bytes); err != nil {
				return nil, malformed(err.Error())
			}
		}
	}
	if _, err := ReadID(one.ID); err != nil || len(one.Told) == 0 {
		return nil, malformed("nothing is told, or of nothing")
	}
	if len(one.Read) > 0 {
		lowest, highest := one.Told[0].From, one.Told[len(one.Told)-1].Through
		if one.Read[0].From < lowest || one.Read[len(one.Read)-1].Through > highest {
			return nil, malformed("what was read is beyond what is told")
		}
	}
	return one, nil
}

func readDelivered(data []byte) (seq, size uint64, err error) {
	for len(data) > 0 {
		number, value, rest, err := next(data)
		if err != nil {
			return 0, 0, err
		}
		data = rest
		switch number {
		case 1:
			seq = value.number
		case 4:
			size = uint64(len(value.bytes))
		}
	}
	return seq, size, nil
}
