package conversation

import (
	"encoding/binary"
	"math/bits"
)

const ordinals = 1 << 32

// Bitmap of who has read a message: all ordinals below the watermark, and those whose bit is set.
type Bitmap struct {
	Watermark uint64
	bits      []byte
}

// ReadBitmap judges its form. [CNV-36] [CNV-38]
func ReadBitmap(data []byte) (Bitmap, error) {
	watermark, rest, err := shortVarint(data)
	if err != nil {
		return Bitmap{}, err
	}
	bitmap := Bitmap{watermark, rest}
	through := watermark
	if last := len(rest) - 1; last >= 0 {
		through += uint64(8*last + bits.Len8(rest[last]))
		if rest[last] == 0 {
			return bitmap, faultf("MARK_INVALID", "a byte of 0 at the end")
		}
		if rest[0]&1 == 1 {
			return bitmap, faultf("MARK_INVALID", "the watermark could be higher")
		}
	}
	if through > ordinals {
		return bitmap, faultf("MARK_INVALID", "an ordinal above 2^32-1")
	}
	return bitmap, nil
}

// Bytes of the bitmap.
func (b Bitmap) Bytes() []byte {
	return append(binary.AppendUvarint(nil, b.Watermark), b.bits...)
}

// Has says whether the member of an ordinal has read.
func (b Bitmap) Has(ordinal uint64) bool {
	if ordinal < b.Watermark {
		return true
	}
	at := ordinal - b.Watermark
	return at/8 < uint64(len(b.bits)) && b.bits[at/8]>>(at%8)&1 == 1
}

// Above are the ordinals that bits tell.
func (b Bitmap) Above() []uint64 {
	var above []uint64
	for ordinal := b.Watermark; ordinal < b.end(); ordinal++ {
		if b.Has(ordinal) {
			above = append(above, ordinal)
		}
	}
	return above
}

func (b Bitmap) end() uint64 { return b.Watermark + 8*uint64(len(b.bits)) }

// Count of who has read.
func (b Bitmap) Count() uint64 { return b.Watermark + uint64(len(b.Above())) }

// Merge is the union, one ordinal after the other. [CNV-37]
func (b Bitmap) Merge(other Bitmap) Bitmap {
	merged := Bitmap{Watermark: max(b.Watermark, other.Watermark)}
	end := max(b.end(), other.end())
	for merged.Watermark < end && (b.Has(merged.Watermark) || other.Has(merged.Watermark)) {
		merged.Watermark++
	}
	for ordinal := merged.Watermark; ordinal < end; ordinal++ {
		if b.Has(ordinal) || other.Has(ordinal) {
			merged.set(ordinal)
		}
	}
	return merged
}

// Add one who has read.
func (b Bitmap) Add(ordinal uint64) Bitmap {
	if ordinal < b.Watermark {
		return b
	}
	one := Bitmap{Watermark: b.Watermark}
	one.set(ordinal)
	return b.Merge(one)
}

func (b *Bitmap) set(ordinal uint64) {
	at := ordinal - b.Watermark
	for uint64(len(b.bits)) <= at/8 {
		b.bits = append(b.bits, 0)
	}
	b.bits[at/8] |= 1 << (at % 8)
}
