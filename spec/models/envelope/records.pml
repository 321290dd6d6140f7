/*
 * Chapters 11.2, 11.7 and 11.9: the sealed records of one link in both directions, with new keys
 * and the end, and somebody in between who loses, keeps, repeats, reorders, reflects and makes up
 * records and cuts the link. A record opens where its key, epoch and number are right; what nobody
 * sealed opens nowhere. Switches (-D) plant one bug each; see chapter 15.
 */

#ifndef CONTENTS
#define CONTENTS 3  /* of each side */
#endif
#ifndef LIMIT
#define LIMIT 2     /* records under one key, the key update among them [ENV-37] */
#endif
#ifndef EPOCHS
#define EPOCHS 4    /* epochs there are: 65,535 [ENV-40] */
#endif
#ifndef ASKS
#define ASKS 1      /* key updates that ask for one */
#endif
#ifndef FAULTS
#define FAULTS 2    /* what is done to records on their way */
#endif
#ifndef DEPTH
#define DEPTH 2     /* records on their way, each way */
#endif
#define WRONG 9     /* the key of nobody */

mtype = { NOTHING, CONTENT, UPDATE, CLOSE, ALERT };

/* kind, whose key, epoch, seq, value: the number of a content, or whether an update asks. */
chan wire[2] = [DEPTH] of { mtype, byte, byte, byte, byte };

byte sEpoch[2] = 1, sSeq[2], sContents[2];
byte rEpoch[2] = 1, rSeq[2], opened[2];     /* rEpoch[i]: of what side i has received */
bool owes[2], over[2];
int used[2];                                /* a bit for every epoch and seq of a side */
byte asks = ASKS, asked, answered, faults = FAULTS;
bool cut;

/* What somebody in between has kept. */
mtype kKind = NOTHING; byte kKey, kEpoch, kSeq, kValue;

#ifdef ONE_KEY
#define KEY(side) 0
#else
#define KEY(side) side
#endif
#define PLACE (1 << ((sEpoch[me] - 1) * 4 + sSeq[me]))

/* To a side that has gone the bytes go nowhere. */
inline seal(kind, value) {
  assert(!(used[me] & PLACE));                                             /* ENV-7 */
  used[me] = used[me] | PLACE;
  if
  :: over[1 - me] || cut
  :: !over[1 - me] && !cut -> wire[me]!kind(KEY(me), sEpoch[me], sSeq[me], value)
  fi;
  sSeq[me]++;
}

#define CAN_SEND (!over[me] && (over[1 - me] || cut || len(wire[me]) < DEPTH))
#define USED_UP (sSeq[me] >= LIMIT - 1)
#define LAST_EPOCH (sEpoch[me] == EPOCHS)

inline update(asking) {
  seal(UPDATE, asking);
  sSeq[me] = 0; owes[me] = false;
#ifdef EPOCH_WRAPS
  sEpoch[me] = (LAST_EPOCH -> 1 : sEpoch[me] + 1);
#else
  sEpoch[me]++;
#endif
  assert(sEpoch[me] <= EPOCHS);                                            /* ENV-40 */
}

inline receive() {
  wire[1 - me]?kind, key, epoch, seq, value;
  if
#ifdef NO_ORDER
  :: key == KEY(1 - me) && epoch == rEpoch[me] ->                          /* against ENV-6 */
#else
  :: key == KEY(1 - me) && epoch == rEpoch[me] && seq == rSeq[me] ->
#endif
      rSeq[me]++;
      assert(rSeq[me] <= LIMIT + 1);          /* ENV-38 lets four times as many through */
      if
      :: kind == CONTENT ->
          assert(value == opened[me]);        /* ENV-6: in order, none twice, none missing */
          opened[me]++;
          assert(opened[me] <= sContents[1 - me]);        /* of the other side, not our own */
      :: kind == UPDATE ->
          rEpoch[me]++; rSeq[me] = 0;
          if
          :: value == 1 && !LAST_EPOCH -> owes[me] = true                 /* ENV-39 */
          :: else
          fi
      :: kind == CLOSE ->
          assert(opened[me] == sContents[1 - me]);                        /* ENV-51 */
          over[me] = true                     /* answers with the transport's end alone */
      :: kind == ALERT -> over[me] = true
      fi
  :: else ->                                  /* ENV-50: one alert, and the end */
      if
      :: CAN_SEND -> seal(ALERT, 0)
      :: !CAN_SEND
      fi;
      over[me] = true
  fi;
  kind = NOTHING; key = 0; epoch = 0; seq = 0; value = 0
}

proctype Side(byte me) {
  mtype kind = NOTHING; byte key, epoch, seq, value;
  do
  :: atomic { CAN_SEND && !owes[me] && !USED_UP && sContents[me] < CONTENTS ->
      sContents[me]++; seal(CONTENT, sContents[me] - 1) }
  /* The key is used up, or it is asked for a new one. Where no epoch is left it closes. */
  :: atomic { CAN_SEND && !LAST_EPOCH && USED_UP && !owes[me] ->
      if
      :: asks > 0 -> asks--; asked++; update(1)
      :: update(0)
      fi }
  :: atomic { CAN_SEND && owes[me] ->
      if
      :: !LAST_EPOCH -> answered++; assert(answered <= asked);            /* ENV-39: once */
#ifdef ASK_BACK
          asked = ASKS; update(1)
#else
          update(0)
#endif
      :: LAST_EPOCH -> owes[me] = false
      fi }
#ifdef EPOCH_WRAPS
  :: atomic { CAN_SEND && LAST_EPOCH && USED_UP -> update(0) }
#endif
  :: atomic { CAN_SEND && (sContents[me] == CONTENTS || (LAST_EPOCH && USED_UP)) ->
      seal(CLOSE, 0); over[me] = true }
  :: atomic { !over[me] && nempty(wire[1 - me]) -> receive() }
  /* The transport ends without a close: truncated, and told so. */
  :: atomic { !over[me] && (over[1 - me] || cut) && empty(wire[1 - me]) ->
#ifdef END_IS_CLOSE
      assert(opened[me] == sContents[1 - me]);                            /* taken for a close */
#endif
      over[me] = true }
  :: over[me] -> break
  od
}

proctype Between() {
  mtype kind = NOTHING; byte key, epoch, seq, value, way;
  do
  :: atomic { faults > 0 -> faults--;
      if
      :: way = 0
      :: way = 1
      fi;
      if
      :: nempty(wire[way]) -> wire[way]?_, _, _, _, _                     /* loses */
      :: nempty(wire[way]) -> wire[way]?kind, key, epoch, seq, value;     /* to the end */
          wire[way]!kind, key, epoch, seq, value
      :: kKind == NOTHING && nempty(wire[way]) ->                         /* keeps a copy */
          wire[way]?<kKind, kKey, kEpoch, kSeq, kValue>
      :: kKind != NOTHING && nfull(wire[way]) ->                          /* repeats, reflects */
          wire[way]!kKind, kKey, kEpoch, kSeq, kValue
      :: nfull(wire[way]) -> wire[way]!CONTENT, WRONG, rEpoch[1 - way], rSeq[1 - way], 0
      :: cut = true
      fi;
      kind = NOTHING; key = 0; epoch = 0; seq = 0; value = 0; way = 0 }
  :: break
  od
}

init { atomic { run Side(0); run Side(1); run Between() } }
