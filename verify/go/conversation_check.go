package main

import (
	"encoding/base64"
	"errors"
	"reflect"
	"slices"

	"posthorn/verify/conversation"
)

func init() {
	for kind, check := range map[string]func(Case) error{
		"direct-id":        checkDirectID,
		"made-id":          checkMadeID,
		"conversation-id":  checkConversationID,
		"number-set":       checkNumberSet,
		"mark":             checkMark,
		"number-sets":      checkNumberSets,
		"marks":            checkMarks,
		"read-bitmap":      checkBitmap,
		"read-bitmaps":     checkBitmaps,
		"read-bitmap-adds": checkBitmapAdds,
		"index":            checkIndex,
		"event":            checkEvent,
		"shown":            checkShown,
		"unread":           checkUnread,
	} {
		checks[kind] = check
	}
}

// unlike is what a mistake gives, where ours is not what the vector says.
func unlike(what string, ours, theirs any) error {
	if reflect.DeepEqual(ours, theirs) {
		return nil
	}
	return refuse(false, "MISTAKE", what)
}

func (c Case) set(name string) conversation.Set {
	return must(conversation.ReadSet(c.data(name)))
}

func (c Case) sets(name string) []conversation.Set {
	var sets []conversation.Set
	for _, bytes := range c.list(name + "_hex") {
		sets = append(sets, must(conversation.ReadSet(unhex(bytes.(string)))))
	}
	return sets
}

func (c Case) bitmap(name string) conversation.Bitmap {
	return must(conversation.ReadBitmap(c.data(name)))
}

func (c Case) numbers(name string) []uint64 {
	var numbers []uint64
	for _, number := range c.list(name) {
		numbers = append(numbers, uint64(number.(float64)))
	}
	return numbers
}

func (c Case) ranges(name string) conversation.Set {
	var set conversation.Set
	for _, one := range c.list(name) {
		pair := Case{"pair": one}.numbers("pair")
		set = append(set, conversation.Range{From: pair[0], Through: pair[1]})
	}
	return set
}

// must panics with what is wrong with the operand of a case: only what a case is about may be refused.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func checkDirectID(c Case) error {
	users := c.list("user_ids")
	one, other := users[0].(string), users[1].(string)
	return errors.Join(
		unlike("conversation_id", conversation.DirectID(one, other), c.text("conversation_id")),
		unlike("the other way round", conversation.DirectID(other, one), c.text("conversation_id")),
	)
}

func checkMadeID(c Case) error {
	id, err := conversation.MadeID(c.text("user_id"), c.data("nonce"))
	if err != nil {
		return err
	}
	return unlike("conversation_id", id, c.text("conversation_id"))
}

func checkConversationID(c Case) error {
	users, err := conversation.ReadID(c.text("conversation_id"))
	if err != nil {
		return err
	}
	var said []string
	if c.has("user_ids") {
		for _, user := range c.list("user_ids") {
			said = append(said, user.(string))
		}
	}
	if !slices.Equal(users, said) {
		return disagreef("the users are %v", users)
	}
	return nil
}

func checkNumberSet(c Case) error {
	set, err := conversation.ReadSet(c.data("set"))
	if err != nil {
		return err
	}
	if !slices.Equal(set, c.ranges("ranges")) {
		return disagreef("the ranges are %.80v", set)
	}
	return errors.Join(agree("set", set.Bytes(), c.data("set")), same("count", set.Count(), c.number("count")))
}

func checkMark(c Case) error {
	read, err := conversation.ReadSet(c.data("read"))
	if err != nil {
		return err
	}
	if err := conversation.JudgeMark(read, c.number("delivered_through"), c.number("newest")); err != nil {
		return err
	}
	if !slices.Equal(read, c.ranges("ranges")) {
		return disagreef("the ranges are %.80v", read)
	}
	return nil
}

func checkNumberSets(c Case) error {
	one, other := c.set("one"), c.set("other")
	both, left := conversation.Union(one, other).Bounded(), one.Without(other)
	return errors.Join(
		mistaken(c, "union", both.Bytes()),
		unlike("union_count", both.Count(), c.number("union_count")),
		mistaken(c, "difference", left.Bytes()),
		unlike("difference_count", left.Count(), c.number("difference_count")),
	)
}

func checkMarks(c Case) error {
	marks := c.sets("marks")
	backwards := slices.Clone(marks)
	slices.Reverse(backwards)
	for _, order := range [][]conversation.Set{marks, backwards, slices.Concat(marks, marks)} {
		var merged conversation.Set
		for _, mark := range order {
			merged = conversation.Union(merged, mark)
		}
		if err := mistaken(c, "merged", merged.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func checkBitmap(c Case) error {
	bitmap, err := conversation.ReadBitmap(c.data("bitmap"))
	if err != nil {
		return err
	}
	if !slices.Equal(bitmap.Above(), c.numbers("above")) {
		return disagreef("above are %v", bitmap.Above())
	}
	return errors.Join(
		same("watermark", bitmap.Watermark, c.number("watermark")),
		same("count", bitmap.Count(), c.number("count")),
		agree("bitmap", bitmap.Bytes(), c.data("bitmap")),
	)
}

func checkBitmaps(c Case) error {
	one, other := c.bitmap("one"), c.bitmap("other")
	merged := one.Merge(other)
	return errors.Join(
		mistaken(c, "merged", merged.Bytes()),
		mistaken(c, "merged", other.Merge(one).Bytes()),
		unlike("count", merged.Count(), c.number("count")),
	)
}

func checkBitmapAdds(c Case) error {
	ordinals := c.numbers("ordinals")
	backwards := slices.Clone(ordinals)
	slices.Reverse(backwards)
	for _, order := range [][]uint64{ordinals, backwards} {
		after := c.bitmap("before")
		for _, ordinal := range order {
			after = after.Add(ordinal)
		}
		if err := mistaken(c, "after", after.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func checkIndex(c Case) error {
	index, err := conversation.ReadIndex(c.data("encoded"))
	if err != nil {
		return err
	}
	for at, said := range c.objects("conversations") {
		if at >= len(index.Conversations) {
			return disagreef("%d conversations", len(index.Conversations))
		}
		one := index.Conversations[at]
		isSame := slices.Equal(one.Told, said.ranges("told")) && slices.Equal(one.Read, said.ranges("read"))
		if one.ID != said.text("conversation_id") || !isSame {
			return disagreef("conversation %d is %.80v", at, one)
		}
	}
	if !slices.Equal(index.EventSeqs, c.numbers("event_seqs")) {
		return disagreef("the events are %v", index.EventSeqs)
	}
	return errors.Join(
		same("conversations", uint64(len(index.Conversations)), uint64(len(c.list("conversations")))),
		same("first_seq", index.FirstSeq, c.number("first_seq")),
		same("seq", index.Seq, c.number("seq")),
		same("window_bytes", index.WindowBytes, c.number("window_bytes")),
	)
}

func checkEvent(c Case) error {
	event, err := conversation.ReadEvent(c.data("encoded"))
	if err != nil {
		return err
	}
	err = errors.Join(
		unlike("means", conversation.Meaning(event), c.text("means")),
		unlike("event", any(event), c["event"]),
	)
	if err != nil || c.text("means") != "marks" {
		return err
	}
	text, _ := event["marksChanged"].(conversation.Event)["read"].(string)
	read, err := conversation.ReadSet(must(base64.StdEncoding.DecodeString(text)))
	if err == nil && !slices.Equal(read, c.ranges("read")) {
		return disagreef("what was read is %v", read)
	}
	return err
}

// What a device shows of each number, after all deliveries. [CNV-26]
func checkShown(c Case) error {
	byNumber := map[uint64]any{}
	var numbers []uint64
	for _, one := range c.list("deliveries") {
		delivery := Case(one.(map[string]any))
		event, err := conversation.ReadEvent(delivery.data("event"))
		if err != nil {
			return err
		}
		shown := map[string]any{
			"conversation_seq": delivery["conversation_seq"],
			"means":            conversation.Meaning(event),
		}
		message := event["message"].(conversation.Event)
		if content, is := message["content"].(conversation.Event); is {
			shown["text"] = content["text"]
		}
		number := delivery.number("conversation_seq")
		if _, isKnown := byNumber[number]; !isKnown {
			numbers = append(numbers, number)
		}
		byNumber[number] = shown
	}
	slices.Sort(numbers)
	var shown []any
	for _, number := range numbers {
		shown = append(shown, byNumber[number])
	}
	return unlike("shown", shown, c["shown"])
}

func checkUnread(c Case) error {
	unread, mentions := conversation.State{
		VisibleFrom: c.number("visible_from"),
		Newest:      c.number("newest"),
		Read:        c.set("read"),
		Recalled:    c.set("recalled"),
		Mentioned:   c.sets("mentioned"),
	}.Unread()
	return errors.Join(
		mistaken(c, "unread", unread.Bytes()),
		unlike("unread_count", unread.Count(), c.number("unread_count")),
		mistaken(c, "mentions", mentions.Bytes()),
		unlike("mention_count", mentions.Count(), c.number("mention_count")),
	)
}
