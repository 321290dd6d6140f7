/*
 * [ENV-7]: two tasks of one sender seal records under one key, and sealing takes its time, as with
 * Web Crypto. No number seals two texts, and records leave in the order of their numbers. What was
 * sealed goes out again as it is. Switches (-D) plant one bug each; see chapter 15.
 */

#ifndef RECORDS
#define RECORDS 6   /* numbers there are */
#endif
#ifndef REPEATS
#define REPEATS 2   /* records that are sent again */
#endif
#define TASKS 2
#define NONE 255

byte next;                  /* the number that the next text gets */
byte sealed[RECORDS];       /* which text was sealed under a number; 0: none */
byte text;                  /* the last text there is */
byte gone;                  /* records that have left */
byte repeats = REPEATS;
byte copies = 1;
byte copied = NONE;         /* a link's state that was kept, with STATE_COPIED */

inline seal(seq, what) {
  assert(sealed[seq] == 0 || sealed[seq] == what);      /* one text for a number */
  sealed[seq] = what;
}

active [TASKS] proctype Task() {
  byte seq, mine;
end:
  do
  :: atomic { next < RECORDS && text < RECORDS -> text++; mine = text; seq = next;
#ifndef ALLOT_LATE
      next++;
#endif
    }
    atomic { seal(seq, mine) }      /* elsewhere, later */
    atomic {
#ifdef ALLOT_LATE
      next = seq + 1;
#else
#ifndef UNORDERED
      gone == seq;
#endif
      assert(gone == seq);          /* [ENV-6] at the other end */
      gone++;
#endif
      seq = 0; mine = 0;
    }
  :: atomic { repeats > 0 && gone > 0 -> repeats--;
#ifdef SEALED_ANEW
      text++; seal(gone - 1, text);     /* a later text under a number that was used */
#else
      seal(gone - 1, sealed[gone - 1]);
#endif
    }
#ifdef STATE_COPIED
  :: atomic { copied == NONE -> copied = next }
  :: atomic { copied != NONE && copies > 0 && gone == next ->
      copies--; next = copied; gone = copied }
#endif
  od
}
