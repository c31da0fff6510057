#pragma once
// Names and texts made of FANIN_ISA.

#define FANIN_JOIN_(a, b) a##b
#define FANIN_JOIN(a, b) FANIN_JOIN_(a, b)
#define FANIN_TEXT_(a) #a
#define FANIN_TEXT(a) FANIN_TEXT_(a)
